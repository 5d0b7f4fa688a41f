import { describe, expect, test } from 'vitest';
import { MillraceError } from '../../../../pipelines/errors.js';
import { listRequestOf } from '../../../../runs/list/index.js';
import { runningQuery, visibilityQuery } from '../../../../runs/list/visibility-query.js';

function refusal(query: object): string | undefined {
  try {
    listRequestOf(query);
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error;
    expect(error.code).toBe('INVALID_INPUT');
    return error.details.fields?.[0]?.field;
  }
  return undefined;
}

describe('the query of a list', () => {
  test('is twenty rows of whatever there is, or what it says', () => {
    expect(listRequestOf({})).toEqual({ filters: {}, limit: 20 });
    expect(
      listRequestOf({
        pipeline: 'ask',
        status: 'failed',
        version: '0123456789ab',
        id: 'ask-1',
        limit: '100',
        cursor: 'AbC_-',
        from: '2026-11-26',
        to: '2026-11-26T08:30:00.5+01:00',
      }),
    ).toEqual({
      filters: {
        pipeline: 'ask',
        status: 'failed',
        version: '0123456789ab',
        id: 'ask-1',
        from: '2026-11-26T00:00:00.000Z',
        to: '2026-11-26T07:30:00.500Z',
      },
      limit: 100,
      cursor: 'AbC_-',
    });
  });

  test.each<[field: string, value: string | string[]]>([
    ['pipeline', 'Ask'],
    ['pipeline', `x" OR WorkflowType != "y`],
    ['pipeline', `x' OR 'a' = 'a`],
    ['pipeline', 'x\\'],
    ['pipeline', ''],
    ['pipeline', 'ask\n'],
    ['pipeline', ['ask', 'other']],
    ['status', 'completed'],
    ['status', "running') OR (ExecutionStatus = 'Failed"],
    ['version', '0123456789AB'],
    ['version', "' OR '"],
    ['id', 'ask/child'],
    ['id', 'ask%'],
    ['id', 'ask_'],
    ['id', `x" OR WorkflowType != "y`],
    ['from', 'yesterday'],
    ['from', '2026-13-01'],
    ['from', "2026-01-01' OR '1' = '1"],
    ['to', '2026-01-01T25:00:00Z'],
    ['to', '2026-01-01T10:00:00'],
    ['limit', '0'],
    ['limit', '101'],
    ['limit', '1e1'],
    ['limit', '-1'],
    ['cursor', 'a b'],
    ['cursor', 'a'.repeat(4_097)],
    ['cursor', ''],
    ['order', 'createdAt'],
  ])('refuses %s=%j by its name', (field, value) => {
    expect(refusal({ [field]: value })).toBe(field);
  });

  test('refuses a time that ends before it begins', () => {
    expect(refusal({ from: '2026-01-02', to: '2026-01-01' })).toBe('to');
    expect(refusal({ from: '2026-01-01', to: '2026-01-01' })).toBe('to');
  });
});

describe('the question to Temporal', () => {
  const noChildren = "(ParentWorkflowId IS NULL OR ParentWorkflowId STARTS_WITH 'webhook/')";

  test('is about the tenant’s runs alone', () => {
    expect(visibilityQuery({ tenant: 'acme' }, {})).toBe(
      `MillraceTenant = 'acme' AND ExecutionStatus != 'ContinuedAsNew' AND ${noChildren}`,
    );
  });

  test('has paused runs among the running ones', () => {
    expect(visibilityQuery({ tenant: 'acme' }, { status: 'running' })).toContain(' AND CloseTime IS NULL AND ');
  });

  test('is, where the runs are counted that go on, about one tenant or all', () => {
    const running = "TaskQueue = 'millrace' AND CloseTime IS NULL";
    expect(runningQuery({ taskQueue: 'millrace', tenant: 'acme' })).toBe(`${running} AND MillraceTenant = 'acme'`);
    expect(runningQuery({ taskQueue: 'millrace' })).toBe(`${running} AND MillraceTenant IS NOT NULL`);
    expect(() => runningQuery({ taskQueue: "it's", tenant: 'acme' })).toThrow(/was not checked/);
  });

  test('has every filter', () => {
    const scope = { tenant: 'acme.eu', pipelines: ['ask', 'tell'] };
    const filters = {
      pipeline: 'ask',
      version: '0123456789ab',
      status: 'failed',
      id: 'ask-1',
      from: '2026-11-26T00:00:00.000Z',
      to: '2026-11-27T00:00:00.000Z',
    } as const;
    expect(visibilityQuery(scope, filters).split(' AND ')).toEqual([
      "MillraceTenant = 'acme.eu'",
      "MillracePipeline = 'ask'",
      "MillracePipeline IN ('ask', 'tell')",
      "MillraceVersion = '0123456789ab'",
      "ExecutionStatus IN ('Failed', 'Terminated', 'TimedOut')",
      "WorkflowId STARTS_WITH 'ask-1'",
      "StartTime >= '2026-11-26T00:00:00.000Z'",
      "StartTime < '2026-11-27T00:00:00.000Z'",
      noChildren,
    ]);
  });

  test.each([`x' OR 'a' = 'a`, 'x"', 'x\\', 'x y', ''])(
    'is never made with %j, whoever has let it through',
    (value) => {
      expect(() => visibilityQuery({ tenant: value }, {})).toThrow('not checked');
      expect(() => visibilityQuery({ tenant: 'acme', pipelines: [value] }, {})).toThrow('not checked');
      expect(() => visibilityQuery({ tenant: 'acme' }, { id: value })).toThrow('not checked');
    },
  );
});
