-- Of a link whose source has {github} in it: where whoever has no copy yet gets one.
-- And whether a link's title is its maker's or the source's own: of those before it is
-- not known, and it stays.

-- +goose Up

ALTER TABLE content_links ADD COLUMN accept TEXT NOT NULL DEFAULT '';
ALTER TABLE content_links ADD COLUMN from_source BIGINT NOT NULL DEFAULT 0;
