import { pino } from 'pino';
import { expect, test } from 'vitest';
import { type Access, Authenticator } from '../../../../gateway/index.js';

const by = (access: Access) => new Authenticator(access, pino({ level: 'silent' }));
const ask = (access: Access, headers: Record<string, string>) =>
  by(access)
    .authenticate({ headers, address: '127.0.0.1' })
    .catch(({ code, details }) => `${code} ${details.fields[0].field}`);

test.each([
  [{}],
  [{ host: 'localhost:7400' }],
  [{ host: '127.0.0.1:7400' }],
  [{ host: '127.1.2.3' }],
  [{ host: '[::1]:7400' }],
  [{ host: 'millrace.localhost', origin: 'http://localhost:3000' }],
  [{ ':authority': 'localhost:7401' }],
] as const)('without keys this machine is served: %j', async (headers) => {
  expect(await ask({ by: 'loopback' }, headers)).toEqual({ tenant: 'default' });
});

test.each([
  [{ host: 'rebound.example:7400' }, 'Host'],
  [{ host: '127.0.0.1.example' }, 'Host'],
  [{ host: 'localhost.example' }, 'Host'],
  [{ host: '10.0.0.1' }, 'Host'],
  [{ host: 'a b' }, 'Host'],
  [{ ':authority': 'rebound.example' }, 'Host'],
  [{ host: '127.0.0.1:7400', origin: 'https://page.example' }, 'Origin'],
  [{ host: '127.0.0.1:7400', origin: 'null' }, 'Origin'],
] as const)('and no page of a stranger: %j', async (headers, field) => {
  expect(await ask({ by: 'loopback' }, headers)).toBe(`FORBIDDEN ${field}`);
});

test('behind a proxy that authenticates, the host is the proxy’s and the tenant what it says', async () => {
  const headers = { host: 'api.example', origin: 'https://page.example', 'millrace-tenant': 'acme' };
  expect(await ask({ by: 'proxy' }, headers)).toEqual({ tenant: 'acme', permissions: ['run', 'read', 'approve'] });
  expect(await ask({ by: 'proxy' }, { 'millrace-tenant': '../etc' })).toBe('INVALID_HEADER Millrace-Tenant');
});
