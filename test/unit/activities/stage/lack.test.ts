import { describe, expect, it } from 'vitest';
import { CodeFunctions } from '../../../../activities/stage/code-functions.js';
import { lacking, lackOf } from '../../../../activities/stage/lack.js';
import { kindOf } from '../../../../activities/stage/serve-stage.js';
import { isAway } from '../../../../pipelines/errors.js';
import { nextAttempt, UNTRIED } from '../../../../pipelines/retry.js';
import { ENTRY_KIND } from '../../../../pipelines/run/index.js';
import { runInProcess } from '../../../../workers/hosts/in-process-host.js';
import { keywords } from '../../../support/acme/keywords.js';
import { taggedInline } from '../../../support/acme/pipelines.js';
import { contextOf } from '../../../support/in-process.js';

const code = new CodeFunctions([]);
const call = { kind: 'acme/keywords', model: 'words' };
const kinds = new Map([['acme/keywords', keywords.definition]]);

describe('what a worker lacks', () => {
  it('is the definition of a kind', () => {
    const lack = lackOf({ code }, call);
    expect(lack).toEqual({ code: 'KIND_NOT_FOUND', what: 'definition of the kind "acme/keywords"' });
    expect(lackOf({ code, kinds }, call)).toBeUndefined();
    for (const kind of ['chat', 'mcp', 'result']) expect(lackOf({ code }, { kind, model: 'm' })).toBeUndefined();
    expect(lackOf({ code, kinds }, { kind: 'draw', model: 'm' })).toMatchObject({ code: 'KIND_NOT_FOUND' });
  });

  it('is how entries of channels are read, to a release that does not know them', () => {
    expect(lackOf({ code, kinds }, { kind: ENTRY_KIND, model: 'total' })?.code).toBe('KIND_NOT_FOUND');
  });

  it('is a version of a function', () => {
    expect(lackOf({ code }, { kind: 'code', model: 'total', codeVersion: '2' })).toEqual({
      code: 'CODE_NOT_FOUND',
      what: 'code total@2',
    });
  });

  it('lets the call wait for another worker, without an attempt', () => {
    const error = lacking({ code: 'KIND_NOT_FOUND', what: 'definition of the kind "acme/keywords"' });
    expect(isAway(error)).toBe(true);
    const retry = { attempts: 1, initialMs: 1, factor: 1, maxMs: 1 };
    expect(nextAttempt(retry, undefined, error, 0, UNTRIED, 0.5).delayMs).toBeGreaterThan(0);
    expect(isAway(lacking({ code: 'CODE_NOT_FOUND', what: 'code total@2' }))).toBe(false);
  });
});

it('a kind of the worker is found by its name; a missing one, and one of another release, are waited for', () => {
  expect(kindOf(kinds, call)).toBe(keywords.definition);
  expect(kindOf(undefined, { kind: 'chat' }).servedBy).toBe('pool');
  expect(() => kindOf(undefined, call)).toThrow(expect.objectContaining({ code: 'KIND_NOT_FOUND' }));
  const ofLater = expect.objectContaining({
    code: 'KIND_NOT_FOUND',
    message: expect.stringContaining('another release'),
  });
  expect(() => kindOf(kinds, { kind: 'draw' })).toThrow(ofLater);
});

it('a host without queues to hand the call to fails it', async () => {
  const runner = { run: () => Promise.reject(new Error('not called')), lack: () => lackOf({ code }, call) };
  const run = runInProcess({ text: 'x' }, contextOf(taggedInline as never), { runner, run: 'test' });
  await expect(run).rejects.toMatchObject({
    code: 'KIND_NOT_FOUND',
    message: 'stage "find": this worker has no definition of the kind "acme/keywords"',
  });
});
