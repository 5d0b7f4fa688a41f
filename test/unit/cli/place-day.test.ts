import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Command } from 'commander';
import stringWidth from 'string-width';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type DayCommandOptions, placeDay } from '../../../cli/place-day.js';
import { explainPlacement } from '../../../cli/place-explain.js';
import { placementIn } from '../../../cli/place-files.js';
import { dayOptions } from '../../../cli/place-options.js';
import { MillraceError } from '../../../pipelines/errors.js';
import { placementOf, readSchedule } from '../../../placement/document/index.js';
import { testSettings } from '../../support/settings.js';
import { CLUSTER, PIPELINE, PROFILES } from '../placement/placement-files.js';

const settings = testSettings({ MILLRACE_PIPELINES: '' });
const folder = mkdtempSync(path.join(tmpdir(), 'millrace-day-'));
const file = (name: string, text: string): string => {
  writeFileSync(path.join(folder, name), text);
  return path.join(folder, name);
};
file('cluster.yaml', CLUSTER);
file('p.json', PIPELINE);
mkdirSync(path.join(folder, 'profiles'));
for (const { file: name, text } of PROFILES) file(`profiles/${name}`, text);
const rates = file('day.csv', 'hour,voice\n0,1\n1,1\n2,20\n3,20\n');
/** Two hours: 30 runs in the first, 400 in the second. */
const trace = file(
  'trace.csv',
  [
    'timestamp_s',
    ...Array.from({ length: 30 }, (_, i) => `${i * 100}.5`),
    ...Array.from({ length: 400 }, (_, i) => `${3700 + i * 5}.5`),
  ].join('\n'),
);

afterEach(() => void vi.restoreAllMocks());

/** What it writes to stdout, with time that is counted in looks at the clock. */
async function outputOf(run: () => Promise<unknown>): Promise<string> {
  let out = '';
  let ticks = 0;
  vi.spyOn(performance, 'now').mockImplementation(() => ticks++);
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    out += String(text);
    return true;
  });
  await run();
  return out;
}

/** What `millrace place day` writes to stdout. */
const planned = (...args: readonly string[]): Promise<string> =>
  outputOf(async () => {
    const command = dayOptions(new Command('day'))
      .exitOverride()
      .configureOutput({ writeErr: () => undefined })
      .action(async (options: DayCommandOptions) => placeDay(settings, options));
    const files = ['--cluster', `${folder}/cluster.yaml`, '--profiles', `${folder}/profiles`];
    const common = ['--pipeline', `${folder}/p.json`, '--time-limit', '4s', '--slo-p99', '400ms'];
    await command.parseAsync([...files, ...common, ...args], { from: 'user' });
  });

describe('millrace place day', { timeout: 120_000 }, () => {
  it('prints a table of the hours, the costs beside their bounds, and the bounds for an autoscaler, in 100 columns', async () => {
    const changes = ['--cold-start', '90s', '--cold-start', 'tts=3m', '--switch-cost', '0.05'];
    const out = await planned('--rates', rates, ...changes);
    expect(out.split('\n').filter((line) => stringWidth(line) > 100)).toEqual([]);
    expect(out).toMatch(/^Schedule [0-9a-f]{12}: 4 hours for \d+\.\d\d EUR, p99 <= 400 ms$/m);
    expect(out).toMatch(/^Changes {7}2, with \d+ servers started: 0\.\d\d EUR of it$/m);
    expect(out).toMatch(/^hour +runs\/s +devices +cost +p95 ms +p99 ms +what changes$/m);
    expect(out).toMatch(/^ +2 +20 +\d (l4|a100)\S* .*\+\d /m);
    expect(out).toMatch(/^pool +least +most +next replica due at$/m);
  });

  it('prints schedule.json, of which explain shows the hours, or the placement of one', async () => {
    const json = await planned('--rates', rates, '--max-switches', '2', '--json');
    const schedule = readSchedule(json);
    const coldStartS = { whisper: 120, tts: 120 };
    expect(schedule.switching).toMatchObject({ coldStartS, mostSwitches: 2, repeats: true });
    expect(schedule.hours.map(({ rates: { voice } }) => voice)).toEqual([1, 1, 20, 20]);
    const written = file('schedule.json', json);
    const explained = (options: Parameters<typeof explainPlacement>[1]) =>
      outputOf(() => explainPlacement(written, options));
    expect(await explained({ cluster: `${folder}/cluster.yaml` })).toMatch(/^Schedule [0-9a-f]{12}: 4 hours/);
    const placement = placementOf(schedule, schedule.hours[2] ?? expect.fail());
    expect(await explained({ hour: 2 })).toMatch(new RegExp(`^Placement ${placement?.version}: 20 runs a second`));
    expect(placementIn(json, 'schedule.json', 2)).toEqual(placement);
    for (const hour of [undefined, 4]) {
      expect(() => placementIn(json, 'schedule.json', hour)).toThrow(
        '--hour: schedule.json is a schedule: name one of its hours, from 0 to 3',
      );
    }
    expect(() => placementIn(JSON.stringify(placement), 'placement.json', 2)).toThrow(
      '--hour: placement.json is a placement, the same in all hours: leave it out',
    );
    expect(placementIn(JSON.stringify(placement), 'placement.json', undefined)).toEqual(placement);
  });

  it('plans the hours of a trace, once', async () => {
    const schedule = readSchedule(await planned('--trace', trace, '--once', '--json'));
    expect(schedule.hours.map(({ rates: { voice = 0 } }) => Math.round(3600 * voice))).toEqual([30, 400]);
    expect(schedule.switching.repeats).toBe(false);
    expect(schedule.hours[0]?.change).toBeNull();
    expect(schedule.warnings[0]).toMatch(/^hour 0: whole runs: the load has about 30 such runs/);
  });

  it.each([
    ['no demand', [], /--rates: pass the demand of the day/],
    ['a pipeline twice', ['--pipeline', `${folder}/p.json`, '--rates', rates], /--pipeline: two are called "voice"/],
    ['two demands', ['--rates', rates, '--trace', trace], /--rates: pass the demand of the day/],
    ['two traces of one pipeline', ['--trace', trace, '--trace', trace], /--trace: pass one for each --pipeline/],
    ['a table that is not there', ['--rates', `${folder}/no.csv`], /cannot read/],
    ['a table of others', ['--rates', file('other.csv', 'hour,search\n0,1\n')], /no pipeline is called "search"/],
    ['a cold start of no model', ['--rates', rates, '--cold-start', 'tss=1m'], /"tss" \(did you mean "tts"\?\)/],
  ])('refuses %s', async (_, args, message) => {
    const error = await planned(...args).catch((thrown: unknown) => thrown);
    if (!(error instanceof MillraceError)) expect.fail(String(error));
    expect(error.message).toMatch(message);
  });

  it.each([
    ['--cold-start', '2h', 'at most 1h'],
    ['--cold-start', 'soon', 'a time such as'],
    ['--switch-cost', '-1', 'an amount of 0 or more'],
    ['--max-switches', '1.5', 'a whole number'],
  ])('refuses %s %s at once', async (option, value, message) => {
    await expect(planned('--rates', rates, option, value)).rejects.toThrow(message);
  });

  it('refuses the options of a single placement', async () => {
    const options = { rate: [1], pipeline: [], trace: [], cv: 1, slo: [], assume: [], size: {}, switchCost: 0 };
    const rest = { timeLimit: 1, maxProfileAge: 1, seed: 1 };
    await expect(placeDay(settings, { ...options, ...rest })).rejects.toThrow(/--rate: a day has a rate for each hour/);
    const objective = { ...options, ...rest, rate: [], objective: 'rate' as const };
    await expect(placeDay(settings, objective)).rejects.toThrow(/--objective: a day is planned for its cost/);
    const asked = { ...options, ...rest, rate: [], whatIf: ['rate 2x'] };
    await expect(placeDay(settings, asked)).rejects.toThrow(/--what-if: a day answers no questions/);
    const waiting = { ...options, ...rest, rate: [], batchDelay: 300 };
    await expect(placeDay(settings, waiting)).rejects.toThrow(/--batch-delay: the batches of a day do not wait/);
  });
});
