import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { sessionKind } from '../../../activities/sessions/index.js';
import { agent, mcpTools, type Pipeline, pipeline, tool } from '../../../pipelines/index.js';
import type { JsonObject } from '../../../pipelines/json.js';
import type {
  GivenDecision,
  RunContext,
  RunEvent,
  SessionGrant,
  StageCall,
  StageRecord,
} from '../../../pipelines/run/index.js';
import { StageError } from '../../../pipelines/run/stage-error.js';
import { CALL_KINDS } from '../../../pipelines/stages/call-kinds.js';
import type { SessionName } from '../../../stores/sessions/index.js';
import { InProcessHost } from '../../../workers/hosts/in-process-host.js';
import { interpret, Waits } from '../../../workflows/interpreter/index.js';
import { contextOf } from '../../support/in-process.js';
import { type ModelRequest, runScript, type Said, scripted } from '../../support/scripted-model.js';

/** Approvals with the scope `session`: who is asked again, and who is not. */

/** The approvals of sessions, as Redis keeps them; nothing else of a session matters here. */
class Grants {
  readonly #kept = new Map<string, Map<string, SessionGrant>>();
  readonly kind = sessionKind({
    load: async () => ({ messages: [], parts: 0 }),
    add: async () => undefined,
    granted: async (name, what) => this.#kept.get(keyOf(name))?.get(what),
    grant: async (name, what, given) => {
      const own = this.#kept.get(keyOf(name)) ?? new Map<string, SessionGrant>();
      this.#kept.set(keyOf(name), own.set(what, given));
    },
  });
  erase(name: SessionName): void {
    this.#kept.delete(keyOf(name));
  }
}
const keyOf = ({ tenant, of, session }: SessionName): string => [tenant, of, session].join('|');

const policy = { input: z.object({ order: z.string() }), approval: { timeout: '1h' } } as const;
const pay = tool({ name: 'pay', description: 'Pays', ...policy, run: ({ order }) => `${order} is paid` });
const ship = tool({ name: 'ship', description: 'Ships', ...policy, run: ({ order }) => `${order} is shipped` });

/** An agent that makes these calls, one a turn, then repeats what it was told. */
function desk(name: string, calls: readonly (readonly [tool: string, order: string])[]): Pipeline {
  const script = ({ messages }: ModelRequest): Said => {
    const told = messages.filter(({ role }) => role === 'tool').map(({ content }) => content);
    const [tool, order] = calls[told.length] ?? [];
    return tool && order ? { calls: [[tool, { order }]] } : { text: told.join(' / ') };
  };
  const use = agent({ model: scripted(name, script), tools: [pay, ship], session: { keep: '1d' } });
  const input = z.object({ session: z.string().optional() });
  return pipeline(name, { input, deadline: '2h' }, ({ input: given, stage }) => ({
    text: stage('answer', use, { prompt: 'Do it.', session: given.session }).text,
  })) as unknown as Pipeline;
}

/** Runs as if its history were older than the change. */
class HostBefore extends InProcessHost {
  since(): boolean {
    return false;
  }
  override race<T>(contenders: Parameters<InProcessHost['race']>[0]): Promise<T> {
    return Promise.race(contenders.map((contender) => contender(this))) as Promise<T>;
  }
}

interface Ran {
  readonly text: unknown;
  /** Tools of calls about which a person was asked. */
  readonly asked: readonly string[];
  readonly refused: readonly string[];
  readonly rows: readonly StageRecord[];
  readonly events: readonly RunEvent[];
  readonly sessionCalls: readonly string[];
}

interface Running {
  readonly grants: Grants;
  readonly session?: string;
  readonly context?: Partial<RunContext>;
  readonly decision?: Partial<GivenDecision>;
  /** Before each decision. */
  readonly meanwhile?: () => Promise<unknown>;
  /** The run is one from before the change. */
  readonly before?: true;
  /** MCP servers that have the tool `pay`. */
  readonly listed?: readonly string[];
}

async function run(made: Pipeline, options: Running): Promise<Ran> {
  const { grants, session, context, decision, meanwhile, before, listed = [] } = options;
  const asked: string[] = [];
  const refused: string[] = [];
  const events: RunEvent[] = [];
  const sessionCalls: string[] = [];
  const waits = new Waits();
  const begin = waits.begin.bind(waits);
  waits.begin = (wait, wake) => {
    begin(wait, wake);
    asked.push(wait.call?.tool ?? '');
    const given = { nonce: wait.nonce, approved: true, by: 'ada', actor: 'key:k1' };
    const decide = async () => {
      await meanwhile?.();
      try {
        waits.decide({ ...given, ...decision });
      } catch (error) {
        refused.push(String(error));
        waits.decide(given);
      }
    };
    void decide();
  };
  let rows: readonly StageRecord[] = [];
  const runner = {
    async run(input: JsonObject, call: StageCall, { attempt, signal }: { attempt: number; signal: AbortSignal }) {
      const { kind, model, with: options, tenant, path = '' } = call;
      const ended = { endpoint: '', device: '', attempt, cache: 'off', queueMs: 0, runMs: 0 } as const;
      if (kind === 'chat') return { ...(await runScript(call, input)), ...ended };
      if (kind === 'mcp-tools') {
        const tools = listed.includes(model) ? [{ name: 'pay', description: 'Pays', schema: { type: 'object' } }] : [];
        return { output: { tools }, ...ended };
      }
      if (kind === 'mcp') return { output: { result: `${model} is paid` }, ...ended };
      if (kind !== 'session') {
        const output = await made.code.get(model)?.run(input, { signal, tenant, idempotencyKey: path } as never);
        return { output: output as JsonObject, ...ended };
      }
      sessionCalls.push(path);
      const checked = CALL_KINDS.session.input.parse(input) as JsonObject;
      const output = await grants.kind(
        { model, with: options, input: checked, tenant },
        { signal, idempotencyKey: path, audio: {} as never },
      );
      return { output: CALL_KINDS.session.output.parse(output) as JsonObject, ...ended };
    },
  };
  const host = new (before ? HostBefore : InProcessHost)({
    runner,
    run: 'r',
    waits,
    onEvent: (event) => void events.push(event),
    onReport: (stages) => {
      rows = stages;
    },
  });
  const all = { ...contextOf(made), events: true, ...context } as RunContext;
  const ended = await interpret(session === undefined ? {} : { session }, all, host);
  const text = 'output' in ended ? ended.output.text : undefined;
  return { text, asked, refused, rows, events, sessionCalls };
}

const forSession = { scope: 'session' } as const;
const two = [
  ['pay', 'A1'],
  ['pay', 'B2'],
] as const;

describe('an approval for the session', () => {
  it('covers later calls of the tool in this run and in others of the session, and says who gave it and when', async () => {
    const grants = new Grants();
    const made = desk('payer', two);
    const first = await run(made, { grants, session: 's', decision: forSession });
    expect(first).toMatchObject({ text: 'A1 is paid / B2 is paid', asked: ['pay'] });
    const second = await run(made, { grants, session: 's' });
    expect(second).toMatchObject({ text: 'A1 is paid / B2 is paid', asked: [] });
    const [given, covered] = first.rows[0]?.decisions ?? [];
    expect(given).toMatchObject({ by: 'ada', actor: 'key:k1', scope: 'session', tool: 'pay' });
    expect(covered).toMatchObject({ approved: true, by: 'ada', actor: 'key:k1', tool: 'pay' });
    expect(covered?.scope).toBeUndefined();
    const at = covered?.grantedAt ?? '';
    expect(new Date(at).toISOString()).toBe(at);
    expect(second.rows[0]?.decisions).toMatchObject([{ grantedAt: at }, { grantedAt: at }]);
    const told = second.events.filter(({ type }) => type === 'stage.decided');
    expect(told).toMatchObject([
      { approved: true, by: 'ada', grantedAt: at },
      { approved: true, by: 'ada', grantedAt: at },
    ]);
    expect(told.some((event) => 'nonce' in event)).toBe(false);
  });

  it.each<[string, Omit<Running, 'grants'>, string]>([
    ['another session', { session: 't' }, 'first'],
    ['another owner', { session: 's', context: { sessionsOf: 'first/key:b2' } }, 'first'],
    ['another tenant', { session: 's', context: { tenant: 'other', sessionsOf: 'first/key:a1' } }, 'first'],
    // A child run is in the session of the run that has called it.
    ['another pipeline', { session: 's', context: { sessionsOf: 'first/key:a1' } }, 'second'],
    ['no session', {}, 'first'],
  ])('does not hold for %s', async (_, other, name) => {
    const grants = new Grants();
    const context = { sessionsOf: 'first/key:a1' };
    await run(desk('first', two), { grants, session: 's', context, decision: forSession });
    const again = await run(desk(name, two), { grants, ...other });
    expect(again).toMatchObject({ asked: ['pay', 'pay'], text: 'A1 is paid / B2 is paid' });
  });

  it('does not hold for another tool, nor once the session is erased', async () => {
    const grants = new Grants();
    await run(desk('payer', two), { grants, session: 's', decision: forSession });
    expect(await run(desk('payer', [['ship', 'A1']]), { grants, session: 's' })).toMatchObject({ asked: ['ship'] });
    grants.erase({ tenant: 'default', of: 'payer', session: 's' });
    expect(await run(desk('payer', two), { grants, session: 's' })).toMatchObject({ asked: ['pay', 'pay'] });
  });

  it('does not hold for a tool of that name which another MCP server has now', async () => {
    const grants = new Grants();
    const { approval } = policy;
    const use = agent({
      model: scripted('buyer', ({ messages }) =>
        messages.some(({ role }) => role === 'tool')
          ? { text: String(messages.at(-1)?.content) }
          : { calls: [['pay', { order: 'A1' }]] },
      ),
      tools: [mcpTools({ server: 'bank', approval }), mcpTools({ server: 'shop', approval })],
      session: { keep: '1d' },
    });
    const input = z.object({ session: z.string() });
    const made = pipeline('buyer', { input, deadline: '2h' }, ({ input: given, stage }) => ({
      text: stage('answer', use, { prompt: 'Do it.', session: given.session }).text,
    })) as unknown as Pipeline;
    await run(made, { grants, session: 's', decision: forSession, listed: ['bank'] });
    expect(await run(made, { grants, session: 's', listed: ['bank'] })).toMatchObject({ asked: [] });
    const other = await run(made, { grants, session: 's', listed: ['shop'] });
    expect(other).toMatchObject({ asked: ['pay'], text: 'shop is paid' });
  });

  it('is known to a run that had begun before it, from its next call on', async () => {
    const grants = new Grants();
    const made = desk('payer', two);
    const meanwhile = () => run(made, { grants, session: 's', decision: forSession });
    const outer = await run(made, { grants, session: 's', meanwhile, decision: { approved: false } });
    expect(outer).toMatchObject({ asked: ['pay'], text: 'A person rejected the call. / B2 is paid' });
  });

  it('can be given in a session only', async () => {
    const alone = await run(desk('alone', two), { grants: new Grants(), decision: forSession });
    expect(alone.refused[0]).toMatch(/scope: the agent of this call is in no session/);
    expect(alone.sessionCalls).toEqual([]);
  });

  it('is for what is approved', async () => {
    const decision = { ...forSession, approved: false };
    const { refused } = await run(desk('payer', two), { grants: new Grants(), session: 's', decision });
    expect(refused[0]).toMatch(/for what is approved/);
  });

  it('is neither looked for nor kept in a run from before there were any', async () => {
    const old = { grants: new Grants(), session: 's', before: true, decision: forSession } as const;
    const { asked, refused, sessionCalls } = await run(desk('payer', two), old);
    expect(refused[0]).toMatch(/no session/);
    expect(asked).toEqual(['pay', 'pay']);
    expect(sessionCalls.map((path) => path.split('/').at(-1))).toEqual(['load', 'save']);
  });
});

describe('an approval for the run', () => {
  it('covers the tool that it was given for, not the one of that name of another candidate', async () => {
    const { approval } = policy;
    const at = (server: string, script: (messages: ModelRequest['messages']) => Said) =>
      agent({ model: scripted(server, ({ messages }) => script(messages)), tools: [mcpTools({ server, approval })] });
    const called = (messages: ModelRequest['messages']) => messages.filter(({ role }) => role === 'tool').length;
    const first = at('bank', (messages) => {
      if (called(messages) === 2) throw new StageError('BACKEND_REJECTED', 'no more');
      return { calls: [['pay', { order: `A${called(messages)}` }]] };
    });
    const second = at('shop', (messages) =>
      called(messages) === 4 ? { text: 'done' } : { calls: [['pay', { order: `B${called(messages)}` }]] },
    );
    const made = pipeline('buyer', { input: z.object({}), deadline: '2h' }, ({ stage }) => ({
      text: stage('answer', first, { prompt: 'Do it.' }, { fallback: [second] }).text,
    })) as unknown as Pipeline;
    const options = { grants: new Grants(), decision: { scope: 'run' }, listed: ['bank', 'shop'] } as const;
    expect(await run(made, options)).toMatchObject({ text: 'done', asked: ['pay', 'pay'] });
    // As runs from before this change go on.
    expect(await run(made, { ...options, before: true })).toMatchObject({ text: 'done', asked: ['pay'] });
  });
});
