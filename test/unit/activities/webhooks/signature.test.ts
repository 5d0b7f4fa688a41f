import { randomBytes } from 'node:crypto';
import { Webhook } from 'standardwebhooks';
import { describe, expect, it } from 'vitest';
import { secretFault, signedHeaders } from '../../../../activities/webhooks/signature.js';

const secret = (bytes = 32) => `whsec_${randomBytes(bytes).toString('base64')}`;
const body = JSON.stringify({ type: 'run.succeeded', data: { text: 'naïve ☕' } });

describe('signatures', () => {
  it('verify with the reference library, by every secret of a rotation and by no other', () => {
    const [old, young] = [secret(), secret(64)];
    const headers = signedHeaders([young, old], { id: 'msg_1', body, now: new Date() });
    for (const known of [old, young]) expect(new Webhook(known).verify(body, headers)).toEqual(JSON.parse(body));
    expect(() => new Webhook(secret()).verify(body, headers)).toThrow();
    expect(() => new Webhook(old).verify(`${body} `, headers)).toThrow();
  });

  it('are those that the reference library makes', () => {
    const now = new Date();
    const key = secret();
    expect(signedHeaders([key], { id: 'msg_1', body, now })['webhook-signature']).toBe(
      new Webhook(key).sign('msg_1', now, body),
    );
  });

  it('take secrets of 24 to 64 bytes with the prefix, and say what is wrong without repeating it', () => {
    expect(secretFault(secret(24))).toBeUndefined();
    expect(secretFault(secret(64))).toBeUndefined();
    const short = secret(23);
    for (const bad of [short, secret(65), secret().slice(6), 'whsec_', 'whsec_not base64 at all, though long enough']) {
      expect(secretFault(bad)).toMatch(/^must be whsec_/);
      expect(secretFault(bad)).not.toContain(bad.slice(7, 20) || '\0');
    }
  });
});
