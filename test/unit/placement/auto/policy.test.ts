import { describe, expect, it } from 'vitest';
import { readPolicy } from '../../../../placement/auto/index.js';
import { examples } from '../reference-examples.js';
import { refusal } from '../refusal.js';

const BASE = 'format: 1\ndrifts: [device]\ncostPerHour: 5\n';
const refused = (text: string) => refusal(() => readPolicy(text, 'policy.yaml'));

describe('a policy', () => {
  it('needs what may change a placement, and a limit of what that may cost; the rest is careful', () => {
    expect(readPolicy(BASE).value).toEqual({
      format: 1,
      drifts: ['device'],
      measurements: 3,
      costPerHour: 5,
      changes: { most: 1, per: 86_400_000, coolDown: 1_800_000, again: 86_400_000, byHand: 86_400_000 },
      verify: { for: 300_000, runs: 20, failed: 0.01 },
    });
  });

  it('is read from the reference', () => {
    const [example = ''] = examples('yaml').filter((text) => text.includes('drifts:'));
    expect(readPolicy(example).value).toMatchObject({
      drifts: ['device', 'rate', 'service'],
      verify: { for: 600_000 },
    });
  });

  it.each([
    ['no drifts', 'format: 1\ncostPerHour: 5\n', /drifts: list the drifts that may change the placement: device, rate/],
    ['an unknown drift', BASE.replace('device', 'weather'), /:2 drifts\[0\]: must be one of device, rate, service/],
    ['a drift twice', BASE.replace('device', 'device, device'), /:2 drifts: one is listed twice/],
    ['no limit', 'format: 1\ndrifts: [rate]\n', /costPerHour: state the most that a placement may cost .* \(devices\)/],
    [
      'a time without its unit',
      `${BASE}verify: { for: 30 }\n`,
      /:4 verify\.for: "30" is no time with a unit: give how long a change is measured/,
    ],
    [
      'a time without end',
      `${BASE}verify: { for: 99999999999d }\n`,
      /:4 verify\.for: 99999999999d is not from 10s to 1d/,
    ],
    [
      'more runs than are looked at',
      `${BASE}verify: { runs: 1001 }\n`,
      /:4 verify\.runs: at most 1000: the times of more are not read/,
    ],
    ['an unknown field', `${BASE}colour: red\n`, /:4 colour: no such field/],
  ])('is refused with %s', (_, text, message) => {
    const { code, fields } = refused(text);
    expect(code).toBe('INVALID_POLICY');
    expect(fields.join('\n')).toMatch(message);
  });
});
