import { expect, it } from 'vitest';
import type { Json } from '../../../pipelines/json.js';
import type { Step } from '../../../pipelines/plan/index.js';
import { callName } from '../../../pipelines/run/index.js';
import { Memo } from '../../../workflows/interpreter/memo.js';
import { carriedMisfit } from '../../../workflows/interpreter/sizes.js';
import { type Tried, triedLeft } from '../../../workflows/interpreter/tried-left.js';

/* What an interrupted segment had tried, in the next history: only of what has not ended. */

const stage = (id: string) => ({ id, kind: 'code', policy: {} });
const graph = (...stages: object[]) => ({ stages, output: null });
const each = (id: string, ...body: object[]) => ({ id, kind: 'each', body: graph(...body) });
const steps = [
  stage('first'),
  each('chunks', stage('ask'), each('parts', stage('part'))),
  { id: 'rounds', kind: 'repeat', body: graph(stage('think')) },
  { id: 'branch', kind: 'when', body: graph(each('inner', stage('pay'))) },
  { id: 'other', kind: 'pipeline', run: 'inline', plan: graph(stage('other/ask')) },
  { id: 'fastest', kind: 'race', contenders: { one: graph(stage('left')), two: graph(stage('right')) } },
] as unknown as readonly Step[];

const below = (parts: Record<string, Json>): Json => ({ below: parts });
const over: Json = { value: null };
const item = (id: string, i: number, memo: Json): Json => below({ [id]: below({ [`${id}[${i}]`]: memo }) });

const nameOf = (path: string, model = 'm') =>
  callName({ path, stage: 's', kind: 'chat', model, with: { system: 'a/b [c]' } });

it.each<[path: string, done: Json, left: boolean]>([
  ['first', below({}), true],
  ['first', below({ first: over }), false],
  ['first/turn-2', below({ first: over }), false],
  ['first-of-all', below({ first: over }), true],
  ['chunks[1]/ask', below({ chunks: over }), false],
  ['chunks[1]/ask', item('chunks', 1, over), false],
  ['chunks[10]/ask', item('chunks', 1, over), true],
  ['chunks[1]/ask', item('chunks', 1, below({ ask: over })), false],
  ['chunks[2]/ask', item('chunks', 1, below({ ask: over })), true],
  ['chunks[1~2]/ask', item('chunks', 1, over), false],
  ['chunks[1~2]/ask', item('chunks', 1, below({ '~again': { value: true }, ask: over })), false],
  ['chunks[1~2]/ask', item('chunks', 1, below({ ask: over })), true],
  ['chunks[1]/parts[0]/part', item('chunks', 1, item('parts', 0, over)), false],
  ['chunks[1]/parts[1]/part', item('chunks', 1, item('parts', 0, over)), true],
  ['rounds[1]/think', below({ rounds: below({ state: { value: { state: 0, round: 2 } } }) }), false],
  ['rounds[2]/think', below({ rounds: below({ state: { value: { state: 0, round: 2 } } }) }), false],
  ['rounds[3]/think', below({ rounds: below({ state: { value: { state: 0, round: 2 } } }) }), true],
  ['inner[4]/pay', below({ branch: over }), false],
  ['inner[4]/pay', below({ branch: item('inner', 4, over) }), false],
  ['inner[5]/pay', below({ branch: item('inner', 4, over) }), true],
  ['other/ask', below({ other: over }), false],
  ['other/ask', below({ other: below({ 'other/ask': over }) }), false],
  ['right', below({ fastest: over }), false],
  ['right', below({}), true],
])('of %s beside %j: %s', (path, done, left) => {
  const failure = { code: 'BACKEND_UNAVAILABLE', message: 'nobody there', details: {} };
  for (const prefix of ['', 'around[0]/']) {
    const names = [nameOf(`${prefix}${path}`), nameOf(`${prefix}${path}`, 'n')];
    const tried: Tried = Object.fromEntries(names.map((name) => [name, { begun: 1, failure }]));
    expect(triedLeft(tried, steps, { memo: Memo.from(done), prefix })).toEqual(left ? tried : {});
  }
});

it('is part of the segment’s first step where a history cannot begin with it', () => {
  const value = { [nameOf('chunks[1]/ask', 'x'.repeat(2_000))]: { begun: 1 } };
  const misfit = carriedMisfit({ done: below({ 'chunks~tried': { value } }) }, 1_000);
  expect(misfit).toMatchObject({ code: 'RESULT_TOO_LARGE', details: { stage: 'chunks' } });
});
