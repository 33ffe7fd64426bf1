// Package store keeps what the access service must not forget: people,
// connections and their sealed grants, the narrow credentials that were made
// from them, what is still to be revoked, and every decision as an event in a
// keyed chain. It writes to SQLite or to PostgreSQL with one text of SQL.
//
// A call that writes returns when what it wrote is durable. Secrets are sealed
// with keys that never lie in the store; each box is bound to its row.
//
// It does not know who may ask for what, what a rule is, or how any provider
// or hub is spoken to.
package store
