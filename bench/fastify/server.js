// Peer (d) of the benchmark: the PATCH of the contract as most would build it, on fastify and
// PostgreSQL. One statement a request: the update and its history row, as one transaction.
// Environment: PORT (0 picks a free one), PGHOST, PGPORT, PGUSER, PGDATABASE, POOL.

import { createHash } from 'node:crypto';
import fastify from 'fastify';
import pg from 'pg';

const string = { type: 'string' };
const stringOrNull = { type: ['string', 'null'] };
const strings = { type: 'array', items: string };

const fields = {
  email: string, phone_number: string, first_name: string, last_name: string,
  job_title: stringOrNull, company: stringOrNull, university: stringOrNull, gender: stringOrNull,
  birthday: stringOrNull, location: stringOrNull, linkedin: stringOrNull,
  instagram: stringOrNull, twitter: stringOrNull, github: stringOrNull, website: stringOrNull,
  tags: strings,
  status: { type: 'string', enum: ['active', 'inactive'] },
};

const members = [
  'id', 'first_name', 'last_name', 'email', 'phone_number', 'status', 'job_title', 'company',
  'university', 'gender', 'birthday', 'location', 'linkedin', 'instagram', 'twitter', 'github',
  'website', 'tags', 'created_at', 'updated_at',
];

const answer = {
  type: 'object',
  properties: {
    data: {
      type: 'object',
      properties: Object.fromEntries(
        members.map((name) => [name, name === 'tags' ? strings : stringOrNull])),
    },
  },
};

const database = new pg.Pool({ max: Number(process.env.POOL ?? 32) });

// ---- statements ---------------------------------------------------------------------------------

// A prepared statement for each set of fields, made when it is first met.
const statements = new Map();

function statementFor(names) {
  const name = names.join();
  let statement = statements.get(name);
  if (statement === undefined) {
    const sets = names.map((field, i) => `${field} = $${i + 4}`).join(', ');
    const changes = names.map((field) =>
      `'${field}', jsonb_build_array(old.${field}, new.${field})`).join(', ');
    statement = {
      name: `patch-${statements.size}`,
      text: `WITH old AS (
          SELECT * FROM contacts WHERE id = $1 AND organization = $2 FOR UPDATE
        ), new AS (
          UPDATE contacts AS c SET ${sets}, version = c.version + 1, updated_at = now()
          FROM old WHERE c.id = old.id RETURNING c.*
        ), written AS (
          INSERT INTO history SELECT new.id, new.version, new.updated_at, $3::text,
            jsonb_build_object(${changes}) FROM new, old
        ) SELECT * FROM new`,
    };
    statements.set(name, statement);
  }
  return statement;
}

async function write(id, organization, actor, patch) {
  const names = Object.keys(patch).sort();
  if (names.length === 0) {
    return database.query({
      name: 'get',
      text: 'SELECT * FROM contacts WHERE id = $1 AND organization = $2',
      values: [id, organization],
    });
  }
  const values = [id, organization, actor];
  for (const name of names) values.push(patch[name]);
  return database.query({ ...statementFor(names), values });
}

// ---- keys ---------------------------------------------------------------------------------------

const organizations = new Map();  // hash of a key → its organization

async function organizationOf(key) {
  const hash = createHash('sha256').update(key).digest();
  const name = hash.toString('latin1');
  let organization = organizations.get(name);
  if (organization === undefined) {
    const found = await database.query({
      name: 'key', text: 'SELECT organization FROM api_keys WHERE hash = $1', values: [hash],
    });
    organization = found.rows[0]?.organization;
    if (organization !== undefined) organizations.set(name, organization);
  }
  return organization;
}

async function authenticate(request, reply) {
  const key = request.headers['x-api-key'];
  if (key === undefined) return reply.code(401).send({ error: 'Missing X-API-KEY header' });
  request.organization = await organizationOf(key);
  if (request.organization === undefined) {
    return reply.code(401).send({ error: 'Invalid or revoked API key' });
  }
}

// ---- the route ----------------------------------------------------------------------------------

const app = fastify({
  bodyLimit: 262144,
  ajv: {
    customOptions: {
      removeAdditional: false, coerceTypes: false, allErrors: true, allowUnionTypes: true,
    },
  },
});
app.decorateRequest('organization', null);

app.patch('/api/v1/contacts/:id', {
  onRequest: authenticate,
  schema: {
    body: { type: 'object', additionalProperties: false, properties: fields },
    response: { 200: answer },
  },
}, async (request, reply) => {
  const patch = request.body;
  if (patch.email !== undefined) patch.email = patch.email.toLowerCase();
  const { rows } = await write(request.params.id, request.organization, 'bench', patch);
  if (rows.length === 0) return reply.code(404).send({ error: 'Contact not found' });
  const contact = rows[0];
  contact.created_at = contact.created_at.toISOString();
  contact.updated_at = contact.updated_at.toISOString();
  reply.header('ETag', `"${contact.version}"`);
  reply.header('X-Request-Id', request.id);
  return { data: contact };
});

app.setErrorHandler((error, request, reply) => {
  if (error.code === '23505') {
    return reply.code(409).send({ error: 'Another contact has this email.' });
  }
  if (error.validation !== undefined) {
    return reply.code(400).send({
      error: 'Invalid body',
      details: { formErrors: error.validation.map((one) => `${one.instancePath} ${one.message}`) },
    });
  }
  const status = error.statusCode ?? 500;
  if (status >= 500) console.error(error);
  return reply.code(status).send({ error: error.message });
});

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, async () => {
    await app.close();
    await database.end();
    process.exit(0);
  });
}

console.log(`fastify ready ${await app.listen({
  host: '127.0.0.1', port: Number(process.env.PORT ?? 0),
})}`);
