// A small BooxStream: the list of e-readers, the last picture that each of them sent, and who is looking.
'use strict';
const http = require('node:http');
const fs = require('node:fs');
const path = require('node:path');

const LARGEST_PICTURE = 8 * 1024 * 1024;
const hosts = JSON.parse(fs.readFileSync(path.join(__dirname, 'readers.json'), 'utf8'));
const pictures = new Map();

// The gateway has asked who it is and says so in these; nobody else reaches this port.
const visitor = request => ({
  user: request.headers['x-authentik-username'] ?? null,
  email: request.headers['x-authentik-email'] ?? null,
  groups: (request.headers['x-authentik-groups'] ?? '').split('|').filter(Boolean),
});

const escaped = text => text.replace(/[&<>"]/g, c => `&#${c.charCodeAt(0)};`);

function say(response, status, body, type = 'application/json') {
  const data = Buffer.isBuffer(body) ? body : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
  response.writeHead(status, { 'Content-Type': type, 'Content-Length': data.length, 'Cache-Control': 'no-store' });
  response.end(data);
}

function receive(name, request, response) {
  const parts = [];
  let size = 0;
  request.on('data', part => {
    size += part.length;
    if (size > LARGEST_PICTURE) {
      say(response, 413, { error: 'the picture is too large' });
      request.destroy();
    } else {
      parts.push(part);
    }
  });
  request.on('end', () => {
    pictures.set(name, { type: request.headers['content-type'] ?? 'image/png', data: Buffer.concat(parts) });
    say(response, 200, { stored: size });
  });
}

const page = request => `<!doctype html><title>BooxStream</title><p>signed in as ${escaped(visitor(request).user ?? 'nobody')}</p>` +
  hosts.map(name => `<figure><img alt="" src="/api/hosts/${encodeURIComponent(name)}/screen"><figcaption>${escaped(name)}</figcaption></figure>`).join('');

const server = http.createServer((request, response) => {
  const where = new URL(request.url, 'http://localhost').pathname;
  const screen = where.match(/^\/api\/hosts\/([^/]+)\/screen$/);
  if (where === '/health') return say(response, 200, { status: 'ok' });
  if (where === '/') return say(response, 200, page(request), 'text/html; charset=utf-8');
  if (where === '/api/hosts') {
    return say(response, 200, { ...visitor(request), hosts: hosts.map(name => ({ name, streaming: pictures.has(name) })) });
  }
  if (screen && hosts.includes(screen[1])) {
    if (request.method === 'PUT') return receive(screen[1], request, response);
    const picture = pictures.get(screen[1]);
    return picture ? say(response, 200, picture.data, picture.type) : say(response, 404, { error: 'nothing was sent yet' });
  }
  return say(response, 404, { error: 'not found' });
});
server.listen(Number(process.env.PORT ?? 3001), () => console.log(`BooxStream listens on ${process.env.PORT ?? 3001}`));
process.on('SIGTERM', () => server.close(() => process.exit(0)));
