-- One PATCH for pgbench: one statement, so one round trip and one transaction.
-- Variables: contacts, organizations (given by -D).
\set n random(0, :contacts - 1)
\set organization :n % :organizations
\set value random(1, 1000000000)
WITH old AS (
  SELECT * FROM contacts
  WHERE id = 'C' || lpad(:n::text, 19, '0')
    AND organization = 'organization-' || :organization::text
  FOR UPDATE
), new AS (
  UPDATE contacts AS c
  SET first_name = 'Janet ' || :value::text, job_title = 'CTO ' || :value::text,
      tags = ARRAY['vip', 'speaker', :value::text], version = c.version + 1, updated_at = now()
  FROM old WHERE c.id = old.id
  RETURNING c.*
), written AS (
  INSERT INTO history
  SELECT new.id, new.version, new.updated_at, 'pgbench', jsonb_build_object(
           'first_name', jsonb_build_array(old.first_name, new.first_name),
           'job_title', jsonb_build_array(old.job_title, new.job_title),
           'tags', jsonb_build_array(old.tags, new.tags))
  FROM new, old
)
SELECT * FROM new;
