// The contact form's other end: keeps messages in Postgres, and sends people back to the site.
'use strict';
const fs = require('node:fs');
const http = require('node:http');
const { query } = require('./postgres.js');

const LARGEST = 32 * 1024;
const LIMITS = { name: 200, email: 200, message: 5000 };
const site = process.env.SITE;
const database = {
  host: process.env.DB_HOST,
  user: process.env.DB_USER,
  database: process.env.DB_NAME,
  password: fs.readFileSync(process.env.DB_PASSWORD_FILE, 'utf8').trim(),
};

const say = (response, status, body) => {
  const text = JSON.stringify(body);
  response.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) });
  response.end(text);
};

function received(request) {
  return new Promise((resolve, reject) => {
    let text = '';
    request.setEncoding('utf8');
    request.on('data', part => {
      text += part;
      if (text.length > LARGEST) reject(Object.assign(new Error('too long'), { status: 413 }));
    });
    request.on('end', () => resolve(Object.fromEntries(new URLSearchParams(text))));
    request.on('error', reject);
  });
}

async function contact(request, response) {
  // A browser says where its form came from.
  if (request.headers.origin && request.headers.origin !== site) return say(response, 403, { error: 'not from our site' });
  const form = await received(request);
  for (const [name, most] of Object.entries(LIMITS)) {
    const value = (form[name] ?? '').trim();
    if (!value || value.length > most) return say(response, 400, { error: `${name} is missing or too long` });
  }
  if (!/^[^@\s]+@[^@\s]+$/.test(form.email)) return say(response, 400, { error: 'email is not an address' });
  await query(database, 'INSERT INTO messages (name, email, message) VALUES ($1, $2, $3)', [form.name, form.email, form.message]);
  response.writeHead(303, { Location: `${site}/?sent` });
  return response.end();
}

async function answer(request, response) {
  const where = new URL(request.url, 'http://localhost').pathname;
  if (where === '/health') {
    const [[count]] = await query(database, 'SELECT count(*) FROM messages');
    return say(response, 200, { status: 'ok', messages: Number(count) });
  }
  if (where === '/contact' && request.method === 'POST') return contact(request, response);
  return say(response, 404, { error: 'not found' });
}

const TABLE = `CREATE TABLE IF NOT EXISTS messages (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, received timestamptz NOT NULL DEFAULT now(),
  name text NOT NULL, email text NOT NULL, message text NOT NULL)`;

query(database, TABLE).then(() => {
  const server = http.createServer((request, response) => {
    answer(request, response).catch(error => {
      console.error(error.message);
      if (!response.headersSent) say(response, error.status ?? 500, { error: error.status ? error.message : 'it did not work' });
    });
  });
  server.listen(Number(process.env.PORT ?? 3000), () => console.log('backend listens'));
  process.on('SIGTERM', () => server.close(() => process.exit(0)));
}).catch(error => {
  console.error(`the database: ${error.message}`);
  process.exit(1);
});
