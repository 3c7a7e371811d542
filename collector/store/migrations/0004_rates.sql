-- How often a channel is written to at most, and which message stood for several.
ALTER TABLE channels ADD COLUMN rate TEXT NOT NULL DEFAULT '';
ALTER TABLE deliveries ADD COLUMN digest TEXT NOT NULL DEFAULT '';
