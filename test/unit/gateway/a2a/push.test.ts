import type { AddressInfo } from 'node:net';
import type { Client } from '@a2a-js/sdk/client';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { WebhookConfig } from '../../../../activities/webhooks/index.js';
import { Authenticator, issueKey, keyRing } from '../../../../gateway/index.js';
import { chatModel } from '../../../../pipelines/catalog/index.js';
import type { Pipeline } from '../../../../pipelines/index.js';
import { type RunToStart, WEBHOOK_WORKFLOW } from '../../../../pipelines/run/index.js';
import type { Subscription, Subscriptions } from '../../../../stores/subscriptions/index.js';
import { a2aClient, messageOf, sent } from '../../../support/a2a-client.js';
import { greet, type TestGateway, testGateway } from '../../../support/test-gateway.js';
import { nonceOf } from '../../../support/waits.js';

/** Push notifications at a gateway whose runs are scripted: who may have them, and what is kept of them. */

let gateway: TestGateway;
let url: string;
/** By run. */
let kept: Map<string, Subscription[]>;
/** Called when one is added. */
let added: (run: string) => void;
/** What a request waits for whose receiver has been put, by the receiver's URL. */
let held: Map<string, Promise<void>>;

const config = {
  allowPrivate: false,
  of: (tenant: string) => (tenant === 'default' ? { secrets: ['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'] } : {}),
  close: () => undefined,
} as unknown as WebhookConfig;

const inMemory: Subscriptions = {
  async put({ run }, subscription, _keptMs, replaces = true) {
    const { id, owner } = subscription;
    const isNew = !kept.get(run)?.some((each) => each.id === id && each.owner === owner);
    if (isNew || replaces) {
      await inMemory.remove({ tenant: '', run }, subscription);
      kept.set(run, [...(kept.get(run) ?? []), subscription]);
      added(run);
    }
    await held.get(subscription.url);
    return isNew;
  },
  list: async ({ run }) => kept.get(run) ?? [],
  async remove({ run }, { id, owner }) {
    kept.set(
      run,
      (kept.get(run) ?? []).filter((each) => each.id !== id || each.owner !== owner),
    );
  },
  takeBack: async ({ run }, given) =>
    void kept.set(
      run,
      (kept.get(run) ?? []).filter((each) => JSON.stringify(each) !== JSON.stringify(given)),
    ),
  erase: async ({ run }) => void kept.delete(run),
};

async function start(change: Parameters<typeof testGateway>[1] = {}, limits: Parameters<typeof testGateway>[0] = {}) {
  gateway = await testGateway(limits, {
    pipelines: [chatModel, greet] as unknown as Pipeline[],
    placementOf: () => ({}),
    webhooks: config,
    subscriptions: inMemory,
    ...change,
  });
  // The delivery starts its run.
  gateway.temporal.onStart = ({ type, options }) => {
    if (type !== WEBHOOK_WORKFLOW) return;
    const [{ of }] = options.args as unknown as [{ of: { run: RunToStart } }];
    const { id: workflowId, pipeline, memo, args } = of.run;
    void gateway.temporal.client.workflow.start(pipeline, { workflowId, memo, args, taskQueue: 'millrace' } as never);
  };
  await gateway.app.listen({ host: '127.0.0.1', port: 0 });
  url = `http://127.0.0.1:${(gateway.app.server.address() as AddressInfo).port}`;
}

beforeEach(async () => {
  kept = new Map();
  added = () => undefined;
  held = new Map();
  await start();
});
afterEach(() => gateway.close());

const why = [{ text: 'Why?' }];
/** Ends all runs that are under way. */
const endAll = () => {
  for (const run of gateway.temporal.runs.values()) run.end({ output: { text: 'So.' }, stages: [] });
};
const AT_ONCE = { returnImmediately: true };
const hook = {
  url: 'https://a.test/hook?x=1',
  token: 'opaque',
  authentication: { scheme: 'Bearer', credentials: 'secret' },
};
const named = (taskId: string, id = 'own') => ({ tenant: '', taskId, id });
const listed = async (client: Client, taskId: string) =>
  (await client.listTaskPushNotificationConfig({ tenant: '', taskId, pageSize: 0, pageToken: '' })).configs;

describe('a receiver that comes with a message', () => {
  test('is kept before the task starts, whose delivery looks it up', async () => {
    added = (run) => expect(gateway.temporal.runs.has(run)).toBe(false);
    const client = await a2aClient(`${url}/a2a/chat/`);
    const { id, contextId } = await sent(client, why, {}, { ...AT_ONCE, taskPushNotificationConfig: hook });
    const delivery = gateway.temporal.runs.get(`webhook/${id}`);
    expect(delivery?.options.args).toMatchObject([{ targets: [{ subscriptions: true }] }]);
    expect(kept.get(id)).toEqual([
      {
        id,
        request: expect.any(String),
        url: hook.url,
        waits: true,
        about: { version: '1.0', context: contextId, base: url, token: 'opaque', authentication: hook.authentication },
      },
    ]);
  });

  test('is the same when the message comes again', async () => {
    const client = await a2aClient(`${url}/a2a/chat/`);
    const again = () => sent(client, why, { messageId: 'm' }, { ...AT_ONCE, taskPushNotificationConfig: hook });
    const { id } = await again();
    await again();
    expect(kept.get(id)).toHaveLength(1);
  });

  test('replaces that of the same message, and none when another message has its id', async () => {
    const client = await a2aClient(`${url}/a2a/chat/`);
    const send = (text: string, target: string) => {
      const configuration = { ...AT_ONCE, taskPushNotificationConfig: { ...hook, url: target } };
      return sent(client, [{ text }], { messageId: 'm' }, configuration);
    };
    const { id } = await send('Why?', 'https://a.test/');
    await send('Why?', 'https://b.test/');
    expect(kept.get(id)).toMatchObject([{ url: 'https://b.test/' }]);
    await expect(send('How?', 'https://c.test/')).rejects.toThrow(/IDEMPOTENCY_KEY_REUSED/);
    expect(kept.get(id)).toMatchObject([{ url: 'https://b.test/' }]);
  });

  test('is not told of the task of another message that has taken its id', async () => {
    const client = await a2aClient(`${url}/a2a/chat/`);
    const { id } = await sent(client, why, { messageId: 'm' }, AT_ONCE);
    const other = { ...AT_ONCE, taskPushNotificationConfig: hook };
    await expect(sent(client, [{ text: 'How?' }], { messageId: 'm' }, other)).rejects.toThrow(/IDEMPOTENCY_KEY_REUSED/);
    expect(kept.get(id)).toEqual([]);
  });

  describe('of two messages with the same id at the same moment', () => {
    const send = async (text: string, target: string) => {
      const client = await a2aClient(`${url}/a2a/chat/`);
      const configuration = { ...AT_ONCE, taskPushNotificationConfig: { ...hook, url: target } };
      return await sent(client, [{ text }], { messageId: 'm' }, configuration);
    };
    const urls = () => [...kept.values()].flat().map((each) => each.url);
    /** Holds up the message with this receiver behind the moment in which it has put it. */
    function hold(target: string): () => void {
      let release = () => {};
      const released = new Promise<void>((resolve) => {
        release = resolve;
      });
      held.set(target, released);
      return release;
    }

    test('is that of the accepted one, though the refused one has come first', async () => {
      const release = hold('https://refused.test/');
      const refused = send('How?', 'https://refused.test/');
      await expect.poll(urls).toEqual(['https://refused.test/']);
      await send('Why?', 'https://accepted.test/');
      expect(urls()).toEqual(['https://accepted.test/']);
      release();
      await expect(refused).rejects.toThrow(/IDEMPOTENCY_KEY_REUSED/);
      expect(urls()).toEqual(['https://accepted.test/']);
    });

    test('is that of the accepted one, though the refused one has come last', async () => {
      const release = hold('https://accepted.test/');
      const accepted = send('Why?', 'https://accepted.test/');
      await expect.poll(urls).toEqual(['https://accepted.test/']);
      await sent(await a2aClient(`${url}/a2a/chat/`), [{ text: 'Why?' }], { messageId: 'm' }, AT_ONCE);
      await expect(send('How?', 'https://refused.test/')).rejects.toThrow(/IDEMPOTENCY_KEY_REUSED/);
      release();
      await accepted;
      expect(urls()).toEqual(['https://accepted.test/']);
    });

    test('is gone with a refused one whose receiver nobody has replaced', async () => {
      const release = hold('https://refused.test/');
      const refused = send('How?', 'https://refused.test/');
      await expect.poll(urls).toEqual(['https://refused.test/']);
      await sent(await a2aClient(`${url}/a2a/chat/`), [{ text: 'Why?' }], { messageId: 'm' }, AT_ONCE);
      release();
      await expect(refused).rejects.toThrow(/IDEMPOTENCY_KEY_REUSED/);
      expect(urls()).toEqual([]);
    });

    test('is that of the accepted one, though both name the same receiver', async () => {
      const release = hold('https://same.test/');
      const refused = send('How?', 'https://same.test/');
      await expect.poll(urls).toEqual(['https://same.test/']);
      held.clear();
      await send('Why?', 'https://same.test/');
      release();
      await expect(refused).rejects.toThrow(/IDEMPOTENCY_KEY_REUSED/);
      expect(urls()).toEqual(['https://same.test/']);
    });
  });

  describe('that is refused for want of room', () => {
    beforeEach(async () => {
      await gateway.close();
      await start({}, { maxStreams: 1 });
    });

    test('is not kept if the message has started nothing', async () => {
      const client = await a2aClient(`${url}/a2a/chat/`);
      const first = client.sendMessage(messageOf(why));
      await expect.poll(() => gateway.temporal.runs.size).toBe(2);
      await expect(sent(client, why, {}, { taskPushNotificationConfig: hook })).rejects.toThrow(/TOO_MANY_STREAMS/);
      expect([...kept.values()].flat()).toEqual([]);
      endAll();
      await first;
    });

    test('is still told of the task that the same message has started before', async () => {
      const client = await a2aClient(`${url}/a2a/chat/`);
      const again = (configuration: object) =>
        sent(client, why, { messageId: 'm' }, { ...configuration, taskPushNotificationConfig: hook });
      const { id } = await again(AT_ONCE);
      const other = client.sendMessage(messageOf(why));
      await expect.poll(() => gateway.temporal.runs.size).toBe(4);
      // Its client has lost the connection, and waits this time.
      await expect(again({})).rejects.toThrow(/TOO_MANY_STREAMS/);
      expect(kept.get(id)).toMatchObject([{ id, url: hook.url }]);
      endAll();
      await other;
    });
  });

  test.each(['https://127.0.0.1/', 'http://example.com/', 'https://metadata.google.internal/', 'hook'])(
    'at %s is refused, and nothing starts',
    async (target) => {
      const client = await a2aClient(`${url}/a2a/chat/`);
      const configuration = { ...AT_ONCE, taskPushNotificationConfig: { ...hook, url: target } };
      await expect(sent(client, why, {}, configuration)).rejects.toThrow(/WEBHOOK_REFUSED/);
      expect(gateway.temporal.runs.size + kept.size).toBe(0);
    },
  );

  test.each([
    ['a token with a line break', { token: 'a\r\nx: y' }],
    ['credentials with a line break', { authentication: { scheme: 'Bearer', credentials: 'a\r\nx: y' } }],
    ['a scheme that is none', { authentication: { scheme: 'Bearer x', credentials: 'a' } }],
    ['an id with a space', { id: 'a b' }],
  ])('with %s is refused', async (_, change) => {
    const client = await a2aClient(`${url}/a2a/chat/`);
    const configuration = { ...AT_ONCE, taskPushNotificationConfig: { ...hook, ...change } };
    await expect(sent(client, why, {}, configuration)).rejects.toThrow(/INVALID_INPUT/);
    expect(gateway.temporal.runs.size + kept.size).toBe(0);
  });
});

describe.each(['1.0', '0.3'] as const)('the client of %s', (version) => {
  test('adds, reads, lists and removes receivers of a task that is under way', async () => {
    const client = await a2aClient(`${url}/a2a/chat/`, { version });
    const { id: taskId } = await sent(client, why, {}, AT_ONCE);
    const made = await client.createTaskPushNotificationConfig({ ...named(taskId), ...hook });
    const wanted = { taskId, id: 'own', url: hook.url, token: 'opaque', authentication: { scheme: 'Bearer' } };
    expect(made).toMatchObject(wanted);
    expect(made.authentication?.credentials).toBe('');
    expect(kept.get(taskId)).toMatchObject([{ about: { version, authentication: hook.authentication } }]);
    expect(await client.getTaskPushNotificationConfig(named(taskId))).toMatchObject(wanted);
    // Without an id it has the task's.
    await client.createTaskPushNotificationConfig({
      ...named(taskId, ''),
      ...{ url: 'https://b.test/', token: '', authentication: undefined },
    });
    expect((await listed(client, taskId)).map(({ id }) => id).sort()).toEqual([taskId, 'own'].sort());
    for (let i = 0; i < 2; i++) await client.deleteTaskPushNotificationConfig(named(taskId));
    expect(await listed(client, taskId)).toMatchObject([{ id: taskId, url: 'https://b.test/' }]);
    await expect(client.getTaskPushNotificationConfig(named(taskId))).rejects.toThrow(/NO_WEBHOOK/);
  });

  test('gives one with a message', async () => {
    const client = await a2aClient(`${url}/a2a/chat/`, { version });
    const { id } = await sent(client, why, {}, { ...AT_ONCE, taskPushNotificationConfig: hook });
    expect(await listed(client, id)).toMatchObject([{ id, url: hook.url }]);
  });
});

describe('a receiver', () => {
  test('is refused by a task that has ended, also while it is added', async () => {
    const client = await a2aClient(`${url}/a2a/chat/`);
    const { id } = await sent(client, why, {}, AT_ONCE);
    const add = () => client.createTaskPushNotificationConfig({ ...named(id), ...hook });
    added = (run) => gateway.temporal.runs.get(run)?.end({ output: { text: 'So.' }, stages: [] });
    await expect(add()).rejects.toThrow(/RUN_ENDED/);
    expect(kept.get(id)).toEqual([]);
    await expect(add()).rejects.toThrow(/RUN_ENDED/);
  });

  test('stays where it is refused while it takes the place of one that is to be told of the end', async () => {
    const client = await a2aClient(`${url}/a2a/chat/`);
    const { id } = await sent(client, why, {}, AT_ONCE);
    await client.createTaskPushNotificationConfig({ ...named(id), ...hook });
    added = (run) => gateway.temporal.runs.get(run)?.end({ output: { text: 'So.' }, stages: [] });
    await expect(client.createTaskPushNotificationConfig({ ...named(id), ...hook })).rejects.toThrow(/RUN_ENDED/);
    expect(kept.get(id)).toMatchObject([{ id: 'own', url: hook.url }]);
  });

  test('is refused by a task that another door has started', async () => {
    const response = await fetch(`${url}/v1/pipelines/chat/runs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ prompt: 'Why?' }),
    });
    const { id } = (await response.json()) as { id: string };
    const client = await a2aClient(`${url}/a2a/chat/`);
    await expect(client.createTaskPushNotificationConfig({ ...named(id), ...hook })).rejects.toThrow(/NO_WEBHOOK/);
    await expect(client.createTaskPushNotificationConfig({ ...named('chat-no'), ...hook })).rejects.toThrow(
      /RUN_NOT_FOUND/,
    );
    expect(kept.size).toBe(0);
  });

  describe('that comes with a decision', () => {
    const decision = [{ data: { nonce: nonceOf('ask'), approved: true } }];
    const withHook = { ...AT_ONCE, taskPushNotificationConfig: hook };

    test('is kept if the wait is decided, and not if the decision is refused', async () => {
      const client = await a2aClient(`${url}/a2a/chat/`);
      const { id } = await sent(client, why, {}, AT_ONCE);
      await expect(sent(client, decision, { taskId: id }, withHook)).rejects.toThrow(/NOT_WAITING/);
      expect(kept.get(id)).toEqual([]);
      gateway.temporal.waitAt(['ask']);
      await sent(client, decision, { taskId: id }, withHook);
      expect(kept.get(id)).toMatchObject([{ id, url: hook.url }]);
    });

    test('is kept if one of several decisions is taken before another is refused', async () => {
      const client = await a2aClient(`${url}/a2a/chat/`);
      const { id } = await sent(client, why, {}, AT_ONCE);
      gateway.temporal.waitAt(['ask']);
      const both = [...decision, { data: { nonce: nonceOf('other'), approved: true } }];
      await expect(sent(client, both, { taskId: id }, withHook)).rejects.toThrow(/NOT_WAITING/);
      expect(gateway.temporal.sent).toMatchObject([['decide', { approved: true }]]);
      expect(kept.get(id)).toMatchObject([{ id, url: hook.url }]);
    });

    test('stays if it replaces an earlier one and the decision is refused', async () => {
      const client = await a2aClient(`${url}/a2a/chat/`);
      const { id } = await sent(client, why, {}, withHook);
      await expect(sent(client, decision, { taskId: id }, withHook)).rejects.toThrow(/NOT_WAITING/);
      expect(kept.get(id)).toMatchObject([{ id, url: hook.url }]);
    });

    test('needs the permission to run', async () => {
      await gateway.close();
      const [ada, bob] = [
        issueKey({ name: 'ada', tenant: 'default', permissions: ['read', 'run'] }),
        issueKey({ name: 'bob', tenant: 'default', permissions: ['read', 'approve'] }),
      ];
      const keys = keyRing([ada.key, bob.key]);
      await start({ authenticator: new Authenticator({ by: 'key', keys }, pino({ level: 'silent' })) });
      const { id } = await sent(await a2aClient(`${url}/a2a/chat/`, { secret: ada.secret }), why, {}, AT_ONCE);
      gateway.temporal.waitAt(['ask']);
      const his = await a2aClient(`${url}/a2a/chat/`, { secret: bob.secret });
      await expect(sent(his, decision, { taskId: id }, withHook)).rejects.toThrow(/FORBIDDEN/);
      expect([kept.get(id) ?? [], gateway.temporal.sent]).toEqual([[], []]);
      await sent(his, decision, { taskId: id }, AT_ONCE);
      expect(gateway.temporal.sent).toMatchObject([['decide', { approved: true }]]);
    });
  });

  test('is seen and removed by its owner alone; who may not decide is not told of waits', async () => {
    await gateway.close();
    const [ada, bob] = [
      issueKey({ name: 'ada', tenant: 'default', permissions: ['read', 'run', 'approve'] }),
      issueKey({ name: 'bob', tenant: 'default', permissions: ['read', 'run'] }),
    ];
    const keys = keyRing([ada.key, bob.key]);
    await start({ authenticator: new Authenticator({ by: 'key', keys }, pino({ level: 'silent' })) });
    const [hers, his] = await Promise.all(
      [ada, bob].map(({ secret }) => a2aClient(`${url}/a2a/chat/`, { secret })) as [Promise<Client>, Promise<Client>],
    );
    const { id } = await sent(hers, why, {}, { ...AT_ONCE, taskPushNotificationConfig: hook });
    expect(await listed(his, id)).toEqual([]);
    await his.createTaskPushNotificationConfig({ ...named(id, id), ...hook, url: 'https://b.test/' });
    await his.deleteTaskPushNotificationConfig(named(id, 'other'));
    expect(kept.get(id)).toMatchObject([
      { id, url: hook.url, waits: true },
      { id, url: 'https://b.test/', waits: false },
    ]);
    await his.deleteTaskPushNotificationConfig(named(id, id));
    expect(await listed(hers, id)).toMatchObject([{ id, url: hook.url }]);
  });
});

test('are offered to tenants that have secrets, and to no others', async () => {
  const cardOf = async (tenant: string) => {
    const headers = { 'millrace-tenant': tenant };
    return await (await fetch(`${url}/a2a/chat/.well-known/agent-card.json`, { headers })).json();
  };
  expect(await cardOf('default')).toMatchObject({ capabilities: { pushNotifications: true } });
  expect(await cardOf('acme')).toMatchObject({ capabilities: { pushNotifications: false } });
  const ask = async (method: string) => {
    const response = await fetch(`${url}/a2a/chat`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'a2a-version': '1.0', 'millrace-tenant': 'acme' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: {} }),
    });
    return await response.json();
  };
  for (const what of ['Create', 'Get', 'Delete'])
    expect(await ask(`${what}TaskPushNotificationConfig`)).toMatchObject({ error: { code: -32003 } });
  expect(await ask('ListTaskPushNotificationConfigs')).toMatchObject({ error: { code: -32003 } });
});
