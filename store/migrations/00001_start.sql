-- The first schema. Both databases read it: {id}, {blob} and {rowless} are
-- replaced by what each calls it (see migrate.go). Times are microseconds since
-- 1970, 0 is none; flags are 0 or 1. A migration that was released is never edited.

-- +goose Up

CREATE TABLE meta (
	name  TEXT PRIMARY KEY,
	value TEXT NOT NULL
);

CREATE TABLE people (
	id        {id},
	hub       TEXT NOT NULL,
	name      TEXT NOT NULL,
	created   BIGINT NOT NULL,
	seen_at   BIGINT NOT NULL,
	cut_at    BIGINT NOT NULL DEFAULT 0,
	cut_by    TEXT NOT NULL DEFAULT '',
	missed_at BIGINT NOT NULL DEFAULT 0,
	UNIQUE (hub, name, created)
);

CREATE TABLE connections (
	id           {id},
	person       BIGINT NOT NULL REFERENCES people (id),
	host         TEXT NOT NULL,
	app          TEXT NOT NULL,
	kind         TEXT NOT NULL,
	account      BIGINT NOT NULL,
	login        TEXT NOT NULL,
	full_name    TEXT NOT NULL,
	email        TEXT NOT NULL,
	state        TEXT NOT NULL,
	why          TEXT NOT NULL,
	created      BIGINT NOT NULL,
	used         BIGINT NOT NULL,
	ends         BIGINT NOT NULL,
	version      BIGINT NOT NULL,
	access_until BIGINT NOT NULL,
	renew_until  BIGINT NOT NULL,
	lease        TEXT NOT NULL,
	lease_until  BIGINT NOT NULL,
	hub          TEXT NOT NULL, -- of the person, as they were when it was sealed
	born         BIGINT NOT NULL,
	sealed_by    TEXT NOT NULL,
	box          {blob} NOT NULL,
	UNIQUE (person, host)
);
CREATE INDEX connections_ends ON connections (ends);
CREATE INDEX connections_used ON connections (used);
CREATE INDEX connections_state ON connections (state);
CREATE INDEX connections_sealed_by ON connections (sealed_by);
CREATE INDEX connections_account ON connections (host, account);

CREATE TABLE children (
	id         {id},
	connection BIGINT NOT NULL,
	person     BIGINT NOT NULL,
	server     TEXT NOT NULL,
	host       TEXT NOT NULL,
	owner      TEXT NOT NULL,
	name       TEXT NOT NULL,
	repo       BIGINT NOT NULL,
	access     TEXT NOT NULL,
	as_hub     BIGINT NOT NULL,
	username   TEXT NOT NULL,
	account    TEXT NOT NULL,
	until      BIGINT NOT NULL,
	ends       BIGINT NOT NULL,
	created    BIGINT NOT NULL,
	used       BIGINT NOT NULL,
	epoch      BIGINT NOT NULL,
	ending     BIGINT NOT NULL DEFAULT 0,
	pass       TEXT NOT NULL, -- made by this pass, of the hub's realm; '' by none
	links      TEXT NOT NULL, -- that narrowing had added to that pass, as it was shown
	hub        TEXT NOT NULL,
	born       BIGINT NOT NULL,
	sealed_by  TEXT NOT NULL,
	box        {blob} NOT NULL
);
CREATE INDEX children_person ON children (person, host);
CREATE INDEX children_connection ON children (connection);
CREATE INDEX children_ends ON children (ends);
CREATE INDEX children_pass ON children (pass) WHERE pass <> '';
CREATE INDEX children_sealed_by ON children (sealed_by);

CREATE TABLE holders (
	child  BIGINT NOT NULL REFERENCES children (id) ON DELETE CASCADE,
	person BIGINT NOT NULL,
	server TEXT NOT NULL,
	PRIMARY KEY (child, person, server)
) {rowless};
CREATE INDEX holders_person ON holders (person);

CREATE TABLE todos (
	id            {id},
	kind          TEXT NOT NULL,
	host          TEXT NOT NULL,
	child         BIGINT NOT NULL,
	person        BIGINT NOT NULL,
	as_hub        BIGINT NOT NULL,
	due           BIGINT NOT NULL, -- when it is tried
	owed          BIGINT NOT NULL, -- since when it is owed
	created       BIGINT NOT NULL,
	attempts      BIGINT NOT NULL DEFAULT 0,
	why           TEXT NOT NULL,
	owner         TEXT NOT NULL DEFAULT '',
	claimed_until BIGINT NOT NULL DEFAULT 0,
	account       BIGINT NOT NULL DEFAULT 0,
	hub           TEXT NOT NULL DEFAULT '',
	born          BIGINT NOT NULL DEFAULT 0,
	sealed_by     TEXT NOT NULL,
	box           {blob} NOT NULL
);
CREATE INDEX todos_due ON todos (due);
CREATE INDEX todos_child ON todos (child);
CREATE INDEX todos_owed ON todos (owed);
CREATE INDEX todos_person ON todos (person);
CREATE INDEX todos_sealed_by ON todos (sealed_by);

CREATE TABLE changes (
	id         {id},
	kind       TEXT NOT NULL,
	person     BIGINT NOT NULL,
	connection BIGINT NOT NULL,
	child      BIGINT NOT NULL,
	at         BIGINT NOT NULL
);

CREATE TABLE pins (
	person BIGINT NOT NULL, -- 0: the hub's own
	host   TEXT NOT NULL,
	owner  TEXT NOT NULL,
	name   TEXT NOT NULL,
	repo   BIGINT NOT NULL,
	at     BIGINT NOT NULL,
	PRIMARY KEY (person, host, owner, name)
) {rowless};

CREATE TABLE visits (
	person BIGINT NOT NULL,
	server TEXT NOT NULL,
	day    TEXT NOT NULL,
	host   TEXT NOT NULL,
	repo   BIGINT NOT NULL,
	PRIMARY KEY (person, server, day, host, repo)
) {rowless};
CREATE INDEX visits_day ON visits (day);

CREATE TABLE approvals (
	person BIGINT NOT NULL,
	server TEXT NOT NULL,
	day    TEXT NOT NULL,
	PRIMARY KEY (person, server, day)
) {rowless};

CREATE TABLE shares (
	id       {id},
	person   BIGINT NOT NULL,
	hub      TEXT NOT NULL,
	host     TEXT NOT NULL,
	owner    TEXT NOT NULL,
	name     TEXT NOT NULL,
	repo     BIGINT NOT NULL,
	audience TEXT NOT NULL,
	until    BIGINT NOT NULL,
	created  BIGINT NOT NULL,
	ended    BIGINT NOT NULL,
	key_id   TEXT NOT NULL, -- of the chain key that made the MAC
	mac      {blob} NOT NULL
);
CREATE INDEX shares_person ON shares (person);
CREATE INDEX shares_repo ON shares (host, repo);

CREATE TABLE sessions (
	id        TEXT PRIMARY KEY,
	person    BIGINT NOT NULL,
	epoch     BIGINT NOT NULL,
	created   BIGINT NOT NULL,
	expires   BIGINT NOT NULL,
	sealed_by TEXT NOT NULL,
	box       {blob} NOT NULL
);
CREATE INDEX sessions_person ON sessions (person);
CREATE INDEX sessions_expires ON sessions (expires);
CREATE INDEX sessions_sealed_by ON sessions (sealed_by);

CREATE TABLE states (
	id        TEXT PRIMARY KEY,
	epoch     BIGINT NOT NULL,
	created   BIGINT NOT NULL,
	sealed_by TEXT NOT NULL,
	box       {blob} NOT NULL
);
CREATE INDEX states_created ON states (created);
CREATE INDEX states_sealed_by ON states (sealed_by);

CREATE TABLE passes (
	id        {id},
	realm     TEXT NOT NULL,
	username  TEXT NOT NULL, -- of an index
	name      TEXT NOT NULL, -- the id that the pass itself says
	person    BIGINT NOT NULL, -- of a hub
	server    TEXT NOT NULL,
	started   BIGINT NOT NULL,
	label     TEXT NOT NULL,
	via       TEXT NOT NULL,
	asked_by  TEXT NOT NULL,
	caveats   TEXT NOT NULL, -- JSON
	created   BIGINT NOT NULL,
	until     BIGINT NOT NULL,
	used      BIGINT NOT NULL,
	uses      BIGINT NOT NULL,
	ended     BIGINT NOT NULL,
	why       TEXT NOT NULL,
	hub       TEXT NOT NULL,
	born      BIGINT NOT NULL,
	sealed_by TEXT NOT NULL,
	box       {blob} NOT NULL, -- the root key and the links that were ended
	UNIQUE (realm, username, name)
);
CREATE INDEX passes_hub ON passes (name) WHERE username = '';
CREATE INDEX passes_person ON passes (person, realm);
CREATE INDEX passes_until ON passes (until);
CREATE INDEX passes_ended ON passes (ended) WHERE ended > 0;
CREATE INDEX passes_sealed_by ON passes (sealed_by);

-- A link is SHA-256 of a pass's signature after the limit that is counted.
CREATE TABLE pass_uses (
	link  {blob} PRIMARY KEY,
	n     BIGINT NOT NULL,
	until BIGINT NOT NULL
) {rowless};
CREATE INDEX pass_uses_until ON pass_uses (until);

CREATE TABLE once (
	kind  TEXT NOT NULL,
	id    TEXT NOT NULL, -- SHA-256
	until BIGINT NOT NULL,
	PRIMARY KEY (kind, id)
) {rowless};
CREATE INDEX once_until ON once (until);

CREATE TABLE devices (
	device    TEXT PRIMARY KEY, -- SHA-256, as the next
	user_code TEXT NOT NULL UNIQUE,
	label     TEXT NOT NULL,
	address   TEXT NOT NULL,
	limits    TEXT NOT NULL,
	created   BIGINT NOT NULL,
	until     BIGINT NOT NULL,
	polled    BIGINT NOT NULL,
	person    BIGINT NOT NULL,
	decided   TEXT NOT NULL,
	key_id    TEXT NOT NULL,
	mac       {blob} NOT NULL
);
CREATE INDEX devices_until ON devices (until);
CREATE INDEX devices_person ON devices (person);

-- A chain is one process's events, in the order of their numbers. A link is one
-- commit group of it: its MAC covers the link before and the group's events.
CREATE TABLE chains (
	chain   TEXT PRIMARY KEY,
	started BIGINT NOT NULL,
	key_id  TEXT NOT NULL,
	anchor  TEXT NOT NULL,
	trailed BIGINT NOT NULL DEFAULT 0,
	end_g   BIGINT NOT NULL DEFAULT -1,
	end_mac TEXT NOT NULL DEFAULT ''
);

CREATE TABLE links (
	chain  TEXT NOT NULL,
	g      BIGINT NOT NULL,
	last_n BIGINT NOT NULL,
	events BIGINT NOT NULL,
	at     BIGINT NOT NULL,
	mac    {blob} NOT NULL,
	PRIMARY KEY (chain, g)
) {rowless};

CREATE TABLE events (
	chain  TEXT NOT NULL,
	n      BIGINT NOT NULL,
	at     BIGINT NOT NULL,
	person BIGINT NOT NULL,
	kind   TEXT NOT NULL,
	body   TEXT NOT NULL,
	PRIMARY KEY (chain, n)
) {rowless};
CREATE INDEX events_at ON events (at);

-- Which events concern a person. It is filled a moment after the event, many at
-- once: an index here would cost more than all else that an event costs.
CREATE TABLE trails (
	person BIGINT NOT NULL,
	at     BIGINT NOT NULL,
	chain  TEXT NOT NULL,
	n      BIGINT NOT NULL,
	PRIMARY KEY (person, at, chain, n)
) {rowless};
