import { expect, it } from 'vitest';
import { type ApprovalRequest, aboutOf } from '../../../workflows/interpreter/approval-request.js';
import { decidedBefore } from '../../../workflows/interpreter/decided-before.js';
import { StageTable } from '../../../workflows/interpreter/stage-table.js';
import type { Run } from '../../../workflows/interpreter/state.js';

/* What a person has decided in the run that this one resumes, in an item that began again there or begins again here. */

const request = (path: string, subject: string) => ({ stage: 'ask', path, subject }) as unknown as ApprovalRequest;

it.each([
  ['said[0~2]/ask', 'said[0]/ask'],
  ['said[0]/ask', 'said[0~2]/ask'],
  ['all[1]/said[0~2]/ask', 'all[1~2]/said[0]/ask'],
])('at %s is not asked for again at %s, of the same piece', (made, path) => {
  const decided = (subject: string) => ({ approved: true, by: subject, about: aboutOf(request('', subject)) });
  const decisions = { 'said[1]/ask': decided('a'), 'said[0]/ask': decided('b'), [made]: decided('a') };
  const run = {
    context: { decisions },
    table: new StageTable({ stages: [], output: null }, {}, () => undefined),
  } as unknown as Run;
  expect(decidedBefore(run, request(path, 'a'))).toEqual({ approved: true, by: 'a' });
  expect(decidedBefore(run, request(path, 'c'))).toBeUndefined();
});
