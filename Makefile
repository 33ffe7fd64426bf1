# daypass: build, try, test. Everything that a target needs beyond Go, git and a
# C library is installed by the target itself (scripts/tools.sh).

GO      ?= go
PREFIX  ?= /usr/local
BINDIR  ?= $(PREFIX)/bin
GOBUILD  = CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags '-s -w'
BINS     = bin/daypass bin/daypassd bin/daypass-page bin/git-credential-daypass

.PHONY: build demo test test-hubs test-quick screens soak bench bench-broker bench-gateway bench-pass bench-pull bench-class lint install uninstall fuzz clean help

help:
	@echo 'make demo     see it work on stand-ins: a log-in and a push, a whole hub, a job with a pass, a package index, a course (under 40 s)'
	@echo 'make test     all tests'
	@echo 'make test-hubs   the tests of hubs, against JupyterHub 6, 5, 4 and 3'
	@echo 'make build    the four programs, in bin/'
	@echo 'make install  put them into PREFIX/bin ($(PREFIX)/bin), with the old names'
	@echo 'make screens  pictures of all pages, into doc/screens'
	@echo 'make lint     format, vet, staticcheck'
	@echo 'make bench    how fast, beside its peers'
	@echo 'make bench-broker   how fast the access service is'
	@echo 'make bench-gateway  how fast the package gateway is, beside devpi without it'
	@echo 'make bench-pass     how fast passes are checked and narrowed, beside other libraries'
	@echo 'make bench-pull     how fast pulls and merges are, beside git, nbgitpuller and nbdime'
	@echo 'make bench-class    what it costs when a class clicks a link at once, beside git clone'
	@echo 'make soak     the long tests: fuzzing, kill -9 rounds'

build:
	@mkdir -p bin
	$(GOBUILD) -o bin/ ./cmd/...

demo: build
	@bin/daypass demo login
	@echo
	@bin/daypass demo hub
	@echo
	@bin/daypass demo job
	@echo
	@bin/daypass demo index
	@echo
	@bin/daypass demo pull

test: build
	@scripts/tools.sh test
	@scripts/tools.sh hub
	@scripts/tools.sh chromium
	@scripts/tools.sh pass
	@scripts/tools.sh devpi
	@scripts/tools.sh jupyter
	@scripts/tools.sh pull
	@GO=$(GO) scripts/tools.sh sources
	eval "$$(scripts/tools.sh hub-env; scripts/tools.sh pass-env; scripts/tools.sh devpi-env; scripts/tools.sh jupyter-env; scripts/tools.sh pull-env; scripts/tools.sh sources-env)"; TMPDIR=$$(scripts/tools.sh room) DAYPASS_TEST_COMPLETE=1 DAYPASS_TEST_AXE=$$(scripts/tools.sh axe) DAYPASS_TEST_IPYTHON=$$(scripts/tools.sh ipython) DAYPASS_TEST_POSTGRES=$$(scripts/tools.sh postgres) $(GO) test -race -p 3 -timeout 14m ./...

test-hubs:
	@scripts/tools.sh hubs
	eval "$$(scripts/tools.sh hubs-env)"; $(GO) test -count=1 -timeout 14m ./hub/ ./internal/hubtest/ -run Hubs

test-quick:
	$(GO) test -short -timeout 5m ./...

screens:
	@scripts/tools.sh chromium
	@mkdir -p doc/screens
	DAYPASS_SCREENS=$(CURDIR)/doc/screens DAYPASS_TEST_COMPLETE=1 DAYPASS_TEST_AXE=$$(scripts/tools.sh axe) $(GO) test -count=1 -timeout 10m ./server ./pullpage -run "TestEvery.*InABrowser"

# -v shows which random seeds were played.
soak: build
	@scripts/tools.sh test
	@scripts/tools.sh pull
	eval "$$(scripts/tools.sh pull-env)"; DAYPASS_SOAK=1 DAYPASS_TEST_POSTGRES=$$(scripts/tools.sh postgres) bash -o pipefail -c "$(GO) test -v -timeout 60m -count=1 ./... | grep -vE '^ *(===|--- PASS|--- SKIP)'"
	$(MAKE) fuzz FUZZTIME=2m

FUZZTIME ?= 20s
fuzz:
	@scripts/fuzz.sh $(FUZZTIME)

bench: build
	@scripts/tools.sh bench
	$(GO) run ./bench/helper

# make bench-broker BENCH=-check fails where a bound is missed.
bench-broker:
	@scripts/tools.sh test
	@scripts/tools.sh hub
	eval "$$(scripts/tools.sh hub-env)"; DAYPASS_TEST_POSTGRES=$$(scripts/tools.sh postgres) $(GO) run ./bench/broker $(BENCH)

bench-pass:
	@scripts/tools.sh pass
	eval "$$(scripts/tools.sh pass-env)"; $(GO) run ./bench/pass $(BENCH)

bench-gateway:
	@scripts/tools.sh devpi
	eval "$$(scripts/tools.sh devpi-env)"; $(GO) run ./bench/gateway $(BENCH)

bench-pull:
	@scripts/tools.sh pull
	eval "$$(scripts/tools.sh pull-env)"; $(GO) run ./bench/pull $(BENCH)

bench-class:
	$(GO) run ./bench/class $(BENCH)

lint:
	@scripts/lint.sh

install: build
	install -d $(DESTDIR)$(BINDIR)
	install -m 0755 $(BINS) $(DESTDIR)$(BINDIR)/
	install -d $(DESTDIR)$(PREFIX)/share/daypass/python
	install -m 0644 python/pyproject.toml python/gh_scoped_creds.py python/daypass_hub.py python/daypass_jupyter.py $(DESTDIR)$(PREFIX)/share/daypass/python/
	for name in gh-scoped-creds github-app-user-auth gitpuller repoproviders; do ln -sf daypass $(DESTDIR)$(BINDIR)/$$name; done
	ln -sf git-credential-daypass $(DESTDIR)$(BINDIR)/git-credential-github-app

uninstall:
	rm -rf $(DESTDIR)$(PREFIX)/share/daypass
	cd $(DESTDIR)$(BINDIR) && rm -f daypass daypassd daypass-page git-credential-daypass gh-scoped-creds github-app-user-auth gitpuller repoproviders git-credential-github-app

clean:
	rm -rf bin
