import { afterEach, expect, it, vi } from 'vitest';
import { printFailure } from '../../../cli/failure.js';
import { unreachable } from '../../../client/error.js';

afterEach(() => vi.restoreAllMocks());

/** What is written to stderr. */
function printed(error: unknown, gatewayUrl?: string): string {
  let out = '';
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    out += String(text);
    return true;
  });
  printFailure(error, gatewayUrl);
  return out;
}

it('says how to start a gateway on this machine, but not where another machine’s gateway does not answer', () => {
  const hint = 'start a gateway with "millrace up"';
  const here = printed(unreachable('http://127.0.0.1:7400', new Error('connect ECONNREFUSED')));
  expect(here).toContain('GATEWAY_UNAVAILABLE: no gateway responds at http://127.0.0.1:7400 (connect ECONNREFUSED)');
  expect(here).toContain(hint);
  const url = 'https://gateway.example';
  const away = printed(unreachable(url, new Error('certificate has expired')), url);
  expect(away).toContain(
    'GATEWAY_UNAVAILABLE: no gateway responds at https://gateway.example (certificate has expired)',
  );
  expect(away).not.toContain(hint);
});
