import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Command } from 'commander';
import { beforeAll, describe, expect, it } from 'vitest';
import { replanOptions } from '../../../cli/place-options.js';
import { type ReplanCommandOptions, replanPlacement } from '../../../cli/replan.js';
import { MillraceError } from '../../../pipelines/errors.js';
import { makePlacement } from '../../../placement/explain/index.js';
import { testSettings } from '../../support/settings.js';
import { CLUSTER, PIPELINE, PROFILES, plannerInput } from '../placement/placement-files.js';

const folder = mkdtempSync(path.join(tmpdir(), 'millrace-replan-'));
const at = (name: string) => path.join(folder, name);
/** No server is there: what is told of the input is told before one is asked. */
const settings = testSettings({ MILLRACE_PIPELINES: '', TEMPORAL_ADDRESS: '127.0.0.1:1' });

function run(...args: readonly string[]): Promise<unknown> {
  const command = replanOptions(new Command('replan'))
    .exitOverride()
    .configureOutput({ writeErr: () => undefined })
    .action(async (options: ReplanCommandOptions) => replanPlacement(settings, options));
  return command.parseAsync([...args], { from: 'user' });
}

const files = ['--cluster', at('cluster.yaml'), '--profiles', at('profiles')];
const inForce = ['--placement', at('placement.json')];
const pipeline = ['--pipeline', at('p.json')];

beforeAll(() => {
  mkdirSync(at('profiles'));
  for (const { file, text } of PROFILES) writeFileSync(at(`profiles/${file}`), text);
  writeFileSync(at('cluster.yaml'), CLUSTER);
  writeFileSync(at('small.yaml'), CLUSTER.replaceAll('gpu2', 'gpu3'));
  writeFileSync(at('p.json'), PIPELINE);
  writeFileSync(at('other.json'), PIPELINE.replace('"speak"', '"say"'));
  writeFileSync(at('broken.json'), '{"format": 2}');
  writeFileSync(at('auto.yaml'), 'format: 1\ndrifts: [rate]\ndevices: 9\n');
  let ticks = 0;
  const placement = makePlacement(plannerInput(), { objective: 'cost', timeLimitMs: 400, clock: () => ticks++ });
  writeFileSync(at('placement.json'), JSON.stringify(placement));
});

describe('millrace replan', { timeout: 60_000 }, () => {
  it.each([
    ['no placement', [...files, ...pipeline], 'INVALID_INPUT', /^--placement: pass the placement in force/],
    ['one that is not there', [...files, '--placement', at('no.json')], 'INVALID_PLACEMENT', /cannot read .*no\.json/],
    ['one that is none', [...files, '--placement', at('broken.json')], 'INVALID_PLACEMENT', /broken\.json:1 format/],
    [
      'a pipeline that it was not made for',
      [...files, ...inForce, '--pipeline', at('other.json')],
      'INVALID_INPUT',
      /^--pipeline: the placement \w+ has no stage "voice\/say" .*: place the pipeline first/,
    ],
    [
      'a placed pipeline that nobody knows by its name',
      [...files, ...inForce],
      'INVALID_INPUT',
      /no pipeline is named "voice"/,
    ],
    [
      'a cluster without its devices',
      [...inForce, ...pipeline, '--cluster', at('small.yaml'), '--profiles', at('profiles')],
      'INVALID_INPUT',
      /^--cluster: it has no device "gpu2\/0", which the placement uses/,
    ],
    [
      '--metrics-port for a single measurement',
      [...files, ...inForce, ...pipeline, '--metrics-port', '0'],
      'INVALID_INPUT',
      /^--metrics-port: .*pass --every/,
    ],
    [
      '--auto with other words',
      [...files, ...inForce, ...pipeline, '--auto', 'always', at('auto.yaml')],
      'INVALID_INPUT',
      /^--auto: write --auto within <file>/,
    ],
    [
      '--auto with a schedule',
      [...files, ...inForce, ...pipeline, '--scheduled', '--auto', 'within', at('auto.yaml')],
      'INVALID_INPUT',
      /^--auto: a schedule changes the placement by the hour/,
    ],
    [
      '--auto for a placement that new runs do not use',
      [...files, ...inForce, ...pipeline, '--auto', 'within', at('auto.yaml')],
      'INVALID_INPUT',
      /^--auto: it changes the placement that new runs use: set MILLRACE_PLACEMENT/,
    ],
    ['a folder that is not there', [...files, ...inForce, ...pipeline, '--out', at('no')], 'INVALID_INPUT', /^--out: /],
    [
      'a Temporal that does not answer',
      [...files, ...inForce, ...pipeline],
      'ORCHESTRATOR_UNAVAILABLE',
      /Temporal cannot be used at 127\.0\.0\.1:1: connection refused: no server listens there .*TEMPORAL_ADDRESS/,
    ],
  ])('refuses %s', async (_, args, code, message) => {
    const error = await run(...args).catch((thrown: unknown) => thrown);
    if (!(error instanceof MillraceError)) expect.fail(String(error));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
  });

  it.each([
    ['--window', 'long'],
    ['--tolerance', '2'],
    ['--every', '0s'],
    ['--metrics-port', '70000'],
  ])('refuses %s %s at once', async (option, value) => {
    await expect(run(...files, ...inForce, ...pipeline, option, value)).rejects.toThrow(/It must be/);
  });
});
