import { existsSync, mkdirSync, mkdtempSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { LoadState, Repository } from '../../../../../activities/connectors/index.js';
import { TrialModel } from '../../../../../measure/optimize/triton/trial-model.js';

let models: string;
beforeEach(() => {
  models = mkdtempSync(path.join(tmpdir(), 'millrace-models-'));
  mkdirSync(path.join(models, 'm', '1'), { recursive: true });
  writeFileSync(path.join(models, 'm', '1', 'model.py'), 'code');
  writeFileSync(path.join(models, 'm', 'labels.txt'), 'a');
  writeFileSync(path.join(models, 'm', 'config.pbtxt'), 'name: "m"\nmax_batch_size: 4\n');
});
afterEach(() => rmSync(models, { recursive: true }));

/** A server that records what it is asked for. */
function server(states: Map<string, LoadState> = new Map()) {
  const calls: string[] = [];
  const repository: Repository = {
    states: async () => states,
    load: async (model) => {
      calls.push(`load ${model}`);
      states.set(model, 'ready');
    },
    unload: async (model) => {
      calls.push(`unload ${model}`);
      states.delete(model);
    },
  };
  return { calls, repository, states };
}
const open = (repository: Repository, model = 'm') => TrialModel.open(repository, { models, model, field: '--f' });
const trialFolder = () => path.join(models, 'm-millrace-trial');
const { signal } = new AbortController();

describe('a trial model', () => {
  it('is the author’s files with another configuration, and leaves nothing behind', async () => {
    const { calls, repository } = server();
    const trial = await open(repository);
    expect(readlinkSync(path.join(trialFolder(), '1'))).toBe(path.join('..', 'm', '1'));
    expect(readFileSync(path.join(trialFolder(), '1', 'model.py'), 'utf8')).toBe('code');
    expect(existsSync(path.join(trialFolder(), 'labels.txt'))).toBe(true);
    await trial.use('name: "m"\nmax_batch_size: 8\n', signal);
    const config = readFileSync(path.join(trialFolder(), 'config.pbtxt'), 'utf8');
    // Triton refuses a name that is not the folder's.
    expect(config).not.toContain('name:');
    expect(config).toContain('max_batch_size: 8');
    await trial.close();
    expect(calls).toEqual(['load m-millrace-trial', 'unload m-millrace-trial']);
    expect(existsSync(trialFolder())).toBe(false);
    expect(readFileSync(path.join(models, 'm', 'config.pbtxt'), 'utf8')).toBe('name: "m"\nmax_batch_size: 4\n');
    expect(readFileSync(path.join(models, 'm', '1', 'model.py'), 'utf8')).toBe('code');
  });

  it('is unloaded only when an interrupted load has ended', async () => {
    const { calls, repository, states } = server();
    const trial = await open(repository);
    states.set(trial.name, 'loading');
    const closed = trial.close();
    setTimeout(() => states.set(trial.name, 'ready'), 150);
    await closed;
    expect(calls).toEqual([`unload ${trial.name}`]);
  });

  it('removes its folder also where the server is gone', async () => {
    const { repository } = server();
    const trial = await open({ ...repository, states: () => Promise.reject(new Error('gone')) });
    await expect(trial.close()).rejects.toThrow('gone');
    expect(existsSync(trialFolder())).toBe(false);
  });

  it('takes away what a killed search has left', async () => {
    const { calls, repository } = server();
    const killed = await open(repository);
    await killed.use('max_batch_size: 2\n', signal);
    const trial = await open(repository);
    expect(calls).toEqual(['load m-millrace-trial', 'unload m-millrace-trial']);
    await trial.close();
  });

  it('is refused where the repository has no such model, or one with its name that is not a trial', async () => {
    const { repository } = server();
    await expect(open(repository, 'no')).rejects.toThrow('has no model "no"');
    mkdirSync(trialFolder());
    writeFileSync(path.join(trialFolder(), 'config.pbtxt'), 'max_batch_size: 1');
    await expect(open(repository)).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      message: expect.stringContaining('is in the way'),
    });
    expect(existsSync(trialFolder())).toBe(true);
  });
});
