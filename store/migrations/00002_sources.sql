-- Links to content, what an admin enrolled, and leases of what several processes
-- share. As in the first: times are microseconds since 1970, 0 is none.

-- +goose Up

CREATE TABLE content_links (
	id       {id},
	hub      TEXT NOT NULL,
	name     TEXT NOT NULL,
	maker    BIGINT NOT NULL, -- 0: they were erased; the name stays taken
	title    TEXT NOT NULL,
	source   TEXT NOT NULL,
	read_as  TEXT NOT NULL,
	repo     BIGINT NOT NULL, -- number of a git repository
	account  BIGINT NOT NULL, -- of its maker at that host
	login    TEXT NOT NULL,
	folder   TEXT NOT NULL,
	open     TEXT NOT NULL,
	app      TEXT NOT NULL,
	audience TEXT NOT NULL,
	starts   BIGINT NOT NULL,
	until    BIGINT NOT NULL,
	paused   BIGINT NOT NULL,
	template BIGINT NOT NULL,
	created  BIGINT NOT NULL,
	changed  BIGINT NOT NULL,
	ended    BIGINT NOT NULL,
	why      TEXT NOT NULL,
	key_id   TEXT NOT NULL, -- of the chain key that made the MAC
	mac      {blob} NOT NULL,
	pulls    BIGINT NOT NULL, -- from here on outside the MAC
	failures BIGINT NOT NULL,
	pulled   BIGINT NOT NULL,
	failed   BIGINT NOT NULL,
	failure  TEXT NOT NULL,
	UNIQUE (hub, name)
);
CREATE INDEX content_links_maker ON content_links (maker);

CREATE TABLE enrolments (
	id      {id},
	hub     TEXT NOT NULL,
	source  TEXT NOT NULL,
	account TEXT NOT NULL,
	by_whom TEXT NOT NULL,
	created BIGINT NOT NULL,
	key_id  TEXT NOT NULL,
	mac     {blob} NOT NULL,
	checked BIGINT NOT NULL, -- outside the MAC: when it was last seen to be readable
	problem TEXT NOT NULL,
	UNIQUE (hub, source, account)
);

CREATE TABLE leases (
	name  TEXT PRIMARY KEY,
	owner TEXT NOT NULL,
	until BIGINT NOT NULL -- by the database's clock
);
