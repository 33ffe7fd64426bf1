// Package devpitest runs real devpi servers and their clients for tests, and holds
// what stands in for them to the same suites: [IndexSuite] is what any index does,
// [TokenSuite] what devpi-tokens' tokens do.
//
// It knows neither the gateway nor our commands: a test hands them in as a
// [Target]. "make test" installs the programs (scripts/tools.sh devpi) and says
// where in DAYPASS_TEST_DEVPI and DAYPASS_TEST_DEVPI_TOKENS.
package devpitest
