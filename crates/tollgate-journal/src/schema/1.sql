-- The first schema. Later ones are files beside it that change what is there.

-- Who called what: what totals are grouped by. An absent label is an empty text.
CREATE TABLE series (
    id        INTEGER PRIMARY KEY,
    team      TEXT NOT NULL,
    tenant    TEXT NOT NULL,
    provider  TEXT NOT NULL,
    model     TEXT NOT NULL,
    operation TEXT NOT NULL,
    UNIQUE (team, tenant, provider, model, operation)
);

-- A series, told apart by the further labels that policies name: a JSON object, sorted by label.
CREATE TABLE lane (
    id     INTEGER PRIMARY KEY,
    series INTEGER NOT NULL REFERENCES series,
    labels TEXT NOT NULL,
    UNIQUE (series, labels)
);

-- One row per settled call. Money is in nano-US-dollars.
CREATE TABLE call (
    id          INTEGER PRIMARY KEY,
    at          INTEGER NOT NULL, -- its end, in milliseconds since the Unix epoch
    lane        INTEGER NOT NULL REFERENCES lane,
    session     TEXT,
    outcome     TEXT NOT NULL,    -- 'ok', 'canceled', or what went wrong in one word
    status      INTEGER,          -- of the response handed over, if there was one
    attempts    INTEGER NOT NULL,
    waited_us   INTEGER NOT NULL, -- at the gate
    duration_us INTEGER NOT NULL, -- from its first send on
    source      TEXT NOT NULL,    -- on whose word the last attempt was settled
    input       INTEGER,          -- tokens as the response reported them; null if it did not
    output      INTEGER,
    cache_read  INTEGER,          -- part of the input
    cache_write INTEGER,          -- part of the input
    reasoning   INTEGER,          -- part of the output
    cost        INTEGER,          -- null if the price is unknown
    reserved_input       INTEGER NOT NULL, -- over all attempts
    reserved_output      INTEGER NOT NULL,
    reserved_tokens      INTEGER NOT NULL,
    reserved_cost        INTEGER NOT NULL,
    -- What its policies were charged, over all attempts; what it means is in `Amounts`.
    charged_requests     INTEGER NOT NULL,
    charged_failed       INTEGER NOT NULL,
    charged_input        INTEGER NOT NULL,
    charged_cache_read   INTEGER NOT NULL,
    charged_output       INTEGER NOT NULL,
    charged_output_spare INTEGER NOT NULL,
    charged_output_excess INTEGER NOT NULL,
    charged_tokens       INTEGER NOT NULL,
    charged_cost         INTEGER NOT NULL
);
CREATE INDEX call_at ON call (at);

-- Sums per quarter of an hour, counted from the Unix epoch: every time zone's midnight is at the end of one.
CREATE TABLE quarter (
    at          INTEGER NOT NULL,
    lane        INTEGER NOT NULL REFERENCES lane,
    calls       INTEGER NOT NULL,
    failed      INTEGER NOT NULL, -- calls whose outcome is not 'ok'
    unreported  INTEGER NOT NULL, -- calls without reported tokens
    unpriced    INTEGER NOT NULL, -- calls without a known cost
    attempts    INTEGER NOT NULL,
    input       INTEGER NOT NULL,
    output      INTEGER NOT NULL,
    cache_read  INTEGER NOT NULL,
    cache_write INTEGER NOT NULL,
    reasoning   INTEGER NOT NULL,
    cost        INTEGER NOT NULL,
    waited_us   INTEGER NOT NULL,
    charged_requests     INTEGER NOT NULL,
    charged_failed       INTEGER NOT NULL,
    charged_input        INTEGER NOT NULL,
    charged_cache_read   INTEGER NOT NULL,
    charged_output       INTEGER NOT NULL,
    charged_output_spare INTEGER NOT NULL,
    charged_output_excess INTEGER NOT NULL,
    charged_tokens       INTEGER NOT NULL,
    charged_cost         INTEGER NOT NULL,
    PRIMARY KEY (at, lane)
) WITHOUT ROWID;

-- Sums per day in UTC, counted from the Unix epoch.
CREATE TABLE day (
    at          INTEGER NOT NULL,
    series      INTEGER NOT NULL REFERENCES series,
    calls       INTEGER NOT NULL,
    failed      INTEGER NOT NULL,
    unreported  INTEGER NOT NULL,
    unpriced    INTEGER NOT NULL,
    attempts    INTEGER NOT NULL,
    input       INTEGER NOT NULL,
    output      INTEGER NOT NULL,
    cache_read  INTEGER NOT NULL,
    cache_write INTEGER NOT NULL,
    reasoning   INTEGER NOT NULL,
    cost        INTEGER NOT NULL,
    waited_us   INTEGER NOT NULL,
    PRIMARY KEY (at, series)
) WITHOUT ROWID;

-- From which instant on every call has its row, in milliseconds: earlier ones may be in the sums alone.
CREATE TABLE detail (
    since INTEGER NOT NULL
);
INSERT INTO detail VALUES (0);
