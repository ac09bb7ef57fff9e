-- Peers (c) and (d): the contacts in PostgreSQL, with the unique index and the history.
-- Variables of psql: contacts, organizations.

CREATE TABLE api_keys (
  hash bytea PRIMARY KEY,
  organization text NOT NULL
);

-- Room in each page, so that a change of no indexed column stays in its page and touches no index.
CREATE TABLE contacts (
  id text COLLATE "C" PRIMARY KEY,
  organization text COLLATE "C" NOT NULL,
  version integer NOT NULL DEFAULT 1,
  first_name text, last_name text, email text COLLATE "C", phone_number text,
  status text NOT NULL DEFAULT 'active',
  job_title text, company text, university text, gender text, birthday text, location text,
  linkedin text, instagram text, twitter text, github text, website text,
  tags text[] NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 70);

CREATE TABLE history (
  contact_id text COLLATE "C" NOT NULL,
  version integer NOT NULL,
  at timestamptz NOT NULL,
  actor text NOT NULL,
  changes jsonb NOT NULL,
  PRIMARY KEY (contact_id, version)
);

-- The keys and ids are those that run.py writes into the files for wrk.
INSERT INTO api_keys
SELECT sha256(convert_to('key-' || lpad(n::text, 40, '0'), 'UTF8')), 'organization-' || n
FROM generate_series(0, :organizations - 1) AS n;

INSERT INTO contacts (id, organization, first_name, last_name, email, phone_number, job_title,
                      company, location, tags)
SELECT 'C' || lpad(n::text, 19, '0'), 'organization-' || n % :organizations, 'Jane', 'Doe',
       'jane.' || n || '@example.com', '+1234567890', 'CEO', 'Acme Inc', 'New York', '{vip}'
FROM generate_series(0, :contacts - 1) AS n;

CREATE UNIQUE INDEX contacts_email ON contacts (organization, email);

VACUUM ANALYZE;
CHECKPOINT;
