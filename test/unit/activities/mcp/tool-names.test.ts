import { describe, expect, it } from 'vitest';
import { mcpKinds } from '../../../../activities/mcp/index.js';
import type { McpTool } from '../../../../activities/mcp/servers.js';
import type { JsonObject } from '../../../../pipelines/json.js';

/** The names for a model of a server's tools, by the server's own. */
async function named(tools: readonly string[], options: JsonObject = {}) {
  const listed = tools.map((name): McpTool => ({ name, description: 'x', schema: { type: 'object' } }));
  const unused = () => Promise.reject(new Error('no tool is called'));
  const kinds = new Map(mcpKinds({ list: async () => listed, call: unused, callAsking: unused }));
  const context = { signal: new AbortController().signal, audio: {} as never, idempotencyKey: 'k' };
  const call = { model: 's', with: options, input: {}, tenant: 'acme' };
  const tell = kinds.get('mcp-tools') as NonNullable<ReturnType<typeof kinds.get>>;
  const { tools: told } = (await tell(call, context)) as unknown as {
    readonly tools: readonly (McpTool & { readonly as?: string })[];
  };
  return Object.fromEntries(told.map(({ name, as }) => [name, as]));
}

describe('names of a server’s tools', () => {
  const long = (end: string) => `${'x'.repeat(70)}${end}`;

  it('that would be the same for a model differ by a hash of the server’s name', async () => {
    expect(await named(['get.user', 'get_user', 'find.user'])).toEqual({
      'get.user': expect.stringMatching(/^get_user_[0-9a-f]{8}$/),
      get_user: undefined,
      'find.user': undefined,
    });
    const cut = await named([long('a'), long('b')]);
    expect(new Set(Object.values(cut)).size).toBe(2);
    for (const as of Object.values(cut)) expect(as).toMatch(/^x{55}_[0-9a-f]{8}$/);
  });

  it('do not depend on the order of the list', async () => {
    const names = ['get.user', 'get user', 'get_user', long('a'), long('b')];
    expect(await named([...names].reverse())).toEqual(await named(names));
  });

  it('have the prefix', async () => {
    expect(await named(['.user', '_user'], { prefix: 'get' })).toEqual({
      '.user': expect.stringMatching(/^get_user_[0-9a-f]{8}$/),
      _user: undefined,
    });
  });

  it.each([
    ['a handoff’s', ['look', 'transfer_to_billing'], /"transfer_to_billing" has the name of one of the agent’s own/],
    ['each other’s', ['look', 'look'], /"look" has the name of another one/],
  ])('that are %s are refused', async (_, tools, message) => {
    await expect(named(tools, { reserved: ['transfer_to_billing'] })).rejects.toMatchObject({
      code: 'TOOLS_REFUSED',
      message: expect.stringMatching(message),
    });
  });

  it('that would be a handoff’s for a model differ from it', async () => {
    const { 'transfer.to.billing': as } = await named(['transfer.to.billing'], { reserved: ['transfer_to_billing'] });
    expect(as).toMatch(/^transfer_to_billing_[0-9a-f]{8}$/);
  });
});
