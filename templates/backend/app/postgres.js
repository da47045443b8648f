// As much of PostgreSQL's protocol 3.0 as a contact form needs: SCRAM-SHA-256, and statements with parameters.
'use strict';
const crypto = require('node:crypto');
const net = require('node:net');

const hmac = (key, text) => crypto.createHmac('sha256', key).update(text).digest();
const xor = (a, b) => Buffer.from(a.map((byte, i) => byte ^ b[i]));
const zero = text => Buffer.from(`${text}\0`);
const int32 = number => { const out = Buffer.alloc(4); out.writeInt32BE(number); return out; };
const int16 = number => { const out = Buffer.alloc(2); out.writeInt16BE(number); return out; };
const message = (kind, ...parts) => {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.from(kind), int32(body.length + 4), body]);
};

/** Runs one statement on a connection of its own; resolves to its rows, each a list of texts. */
function query({ host, port = 5432, user, password, database }, text, values = []) {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host, port });
    const rows = [];
    let waiting = Buffer.alloc(0);
    let failure = null;
    let asked = false;
    let scram = null;

    const end = error => { socket.destroy(); if (error) reject(error); else resolve(rows); };
    const answers = {
      R: body => authenticate(body.readInt32BE(0), body.subarray(4)),
      E: body => { failure = new Error(/\0M([^\0]*)/.exec(`\0${body}`)?.[1] ?? 'unknown error'); if (!asked) end(failure); },
      D: body => rows.push(row(body)),
      Z: () => { if (asked) end(failure); else ask(); },
    };

    function authenticate(method, data) {
      if (method === 0) return;
      if (method === 10) {
        scram = { bare: `n=,r=${crypto.randomBytes(18).toString('base64')}` };
        const first = Buffer.from(`n,,${scram.bare}`);
        socket.write(message('p', zero('SCRAM-SHA-256'), int32(first.length), first));
      } else if (method === 11) {
        const said = Object.fromEntries(String(data).split(',').map(part => [part[0], part.slice(2)]));
        const salted = crypto.pbkdf2Sync(password, Buffer.from(said.s, 'base64'), Number(said.i), 32, 'sha256');
        const key = hmac(salted, 'Client Key');
        const final = `c=biws,r=${said.r}`;
        const whole = `${scram.bare},${data},${final}`;
        scram.server = hmac(hmac(salted, 'Server Key'), whole).toString('base64');
        const proof = xor(key, hmac(crypto.createHash('sha256').update(key).digest(), whole)).toString('base64');
        socket.write(message('p', Buffer.from(`${final},p=${proof}`)));
      } else if (method === 12) {
        if (String(data) !== `v=${scram.server}`) end(new Error('the server does not know the password either'));
      } else {
        end(new Error(`authentication method ${method} is not spoken here`));
      }
    }

    function ask() {
      asked = true;
      const given = values.map(value => Buffer.from(String(value)));
      socket.write(Buffer.concat([
        message('P', zero(''), zero(text), int16(0)),
        message('B', zero(''), zero(''), int16(0), int16(given.length), ...given.flatMap(value => [int32(value.length), value]), int16(0)),
        message('E', zero(''), int32(0)),
        message('S'),
      ]));
    }

    function row(body) {
      const out = [];
      let at = 2;
      for (let left = body.readInt16BE(0); left > 0; left -= 1) {
        const size = body.readInt32BE(at);
        at += 4;
        out.push(size < 0 ? null : String(body.subarray(at, at + size)));
        at += Math.max(size, 0);
      }
      return out;
    }

    socket.setTimeout(5000, () => end(new Error('the database does not answer')));
    socket.on('error', end);
    socket.on('close', () => end(failure ?? new Error('the database closed the connection')));
    socket.on('connect', () => {
      const words = Buffer.concat([zero('user'), zero(user), zero('database'), zero(database), Buffer.from([0])]);
      socket.write(Buffer.concat([int32(words.length + 8), int32(196608), words]));
    });
    socket.on('data', data => {
      waiting = Buffer.concat([waiting, data]);
      while (waiting.length >= 5) {
        const size = waiting.readInt32BE(1) + 1;
        if (waiting.length < size) return;
        const body = waiting.subarray(5, size);
        answers[String.fromCharCode(waiting[0])]?.(body);
        waiting = waiting.subarray(size);
      }
    });
  });
}

module.exports = { query };
