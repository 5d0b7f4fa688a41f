import { describe, expect, it } from 'vitest';
import { isPublicAddress } from '../../../../activities/webhooks/public-address.js';
import { targetFault } from '../../../../activities/webhooks/target-url.js';

describe('addresses', () => {
  it.each(['8.8.8.8', '1.1.1.1', '172.15.0.1', '172.32.0.1', '100.128.0.1', '2606:4700::1111', '2a00:1450:4001::1'])(
    '%s is public',
    (address) => expect(isPublicAddress(address)).toBe(true),
  );

  it.each(
    [
      ['127.0.0.1', '127.8.9.10', '0.0.0.0', '10.1.2.3', '172.16.0.1', '172.31.255.255', '192.168.1.1'],
      ['169.254.169.254', '100.64.0.1', '198.18.0.1', '192.0.2.1', '224.0.0.1', '240.0.0.1', '255.255.255.255'],
      ['::', '::1', 'fe80::1', 'fc00::1', 'fd12::1', 'ff02::1', '2001:db8::1', '2001::1'],
      // IPv4 in IPv6's clothes.
      ['::ffff:127.0.0.1', '::ffff:8.8.8.8', '64:ff9b::7f00:1', '2002:7f00:1::', '::127.0.0.1'],
      ['example.com', ''],
    ].flat(),
  )('%s is not', (address) => expect(isPublicAddress(address)).toBe(false));
});

describe('the URL of a target', () => {
  it('is https at a host of the public internet', () => {
    expect(targetFault('https://example.com:8443/hooks?token=x', false)).toBeUndefined();
    expect(targetFault('https://8.8.8.8/', false)).toBeUndefined();
  });

  it.each([
    ['not a url', /is not a URL/],
    ['http://example.com/', /must be an https URL/],
    ['file:///etc/passwd', /must be an https URL/],
    ['https://user:pass@example.com/', /credentials/],
    ['https://example.com/#x', /fragment/],
    [`https://example.com/${'x'.repeat(2_048)}`, /longer than/],
    ['https://localhost/', /public internet/],
    ['https://api.localhost./', /public internet/],
    ['https://metadata.google.internal/', /public internet/],
    ['https://127.0.0.1/', /public internet/],
    // All of these are 127.0.0.1 to a URL parser.
    ['https://2130706433/', /public internet/],
    ['https://0x7f.1/', /public internet/],
    ['https://[::1]/', /public internet/],
    ['https://[::ffff:7f00:1]/', /public internet/],
  ])('is not %s', (url, fault) => expect(targetFault(url, false)).toMatch(fault));

  it('may be plain http on loopback where private targets are allowed', () => {
    expect(targetFault('http://127.0.0.1:8080/hooks', true)).toBeUndefined();
    expect(targetFault('ftp://127.0.0.1/', true)).toMatch(/must be an http or https URL/);
  });
});
