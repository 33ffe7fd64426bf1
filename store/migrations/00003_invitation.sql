-- Of a link whose source has {github} in it: where whoever has no copy yet gets one.
-- And whether a link's title is its maker's or the source's own: of those before it is
-- not known, and it stays. And how often a link's source was lately given to somebody
-- who has not told since that it did not arrive.

-- +goose Up

ALTER TABLE content_links ADD COLUMN accept TEXT NOT NULL DEFAULT '';
ALTER TABLE content_links ADD COLUMN from_source BIGINT NOT NULL DEFAULT 0;

CREATE TABLE link_pulls (
	link   BIGINT NOT NULL,
	person BIGINT NOT NULL,
	n      BIGINT NOT NULL,
	at     BIGINT NOT NULL, -- of the last
	PRIMARY KEY (link, person)
);
