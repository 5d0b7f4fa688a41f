import { expect, it } from 'vitest';
import { gatewayUrl } from '../../../workers/endpoints.js';
import { testSettings } from '../../support/settings.js';

it.each([
  ['127.0.0.1', 'http://127.0.0.1:7400'],
  ['0.0.0.0', 'http://127.0.0.1:7400'],
  ['::', 'http://127.0.0.1:7400'],
  ['10.0.0.7', 'http://10.0.0.7:7400'],
  ['fd00::7', 'http://[fd00::7]:7400'],
])('the command line reaches a gateway that listens on %s at %s', (host, url) => {
  const settings = testSettings({ MILLRACE_GATEWAY_HOST: host, MILLRACE_GATEWAY_PORT: '7400' });
  expect(gatewayUrl(settings)).toBe(url);
});

it('an address that a setting names comes first', () => {
  const named = { MILLRACE_GATEWAY_HOST: '10.0.0.7', MILLRACE_GATEWAY_URL: 'https://gateway.example' };
  expect(gatewayUrl(testSettings(named))).toBe('https://gateway.example');
});
