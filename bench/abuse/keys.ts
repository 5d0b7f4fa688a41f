import { rmSync } from 'node:fs';
import { issueKey } from '../../gateway/index.js';
import { changeKeys } from '../../workers/keys/index.js';
import { KEYS } from './settings.js';

/** High enough that no attack is refused by its key's rate limit. */
const rate = { perSecond: 5_000 };
const attacker = { tenant: 'attacker', limits: { rate } } as const;
const team = { tenant: 'team', limits: { rate }, permissions: ['run', 'read'] } as const;

/** The keys: one tenant that behaves, and one that does not. */
const HOLDERS = {
  bystander: { tenant: 'bystander', permissions: ['run', 'read', 'approve'], limits: { rate } },
  attacker: { ...attacker, permissions: ['run', 'read', 'approve'] },
  /** May only read metrics. */
  measurer: { ...attacker, permissions: ['metrics'] },
  /** Limited to one request per second. */
  slow: { tenant: 'attacker', permissions: ['run', 'read'], limits: { rate: { perSecond: 1 } } },
  /** Two keys of one tenant, each for a pipeline of its own, and a third one for the first pipeline. */
  first: { ...team, pipelines: ['agent-a'] },
  second: { ...team, pipelines: ['agent-b'] },
  third: { ...team, pipelines: ['agent-a'] },
} as const;

export type Holder = keyof typeof HOLDERS;
export type Secrets = Readonly<Record<Holder, string>>;

/** Recreates the file of keys. Returns the secrets, and the ids, which are not secret. */
export async function issueKeys(): Promise<{ secrets: Secrets; ids: Readonly<Record<Holder, string>> }> {
  rmSync(KEYS, { force: true });
  const issued = Object.entries(HOLDERS).map(([name, holder]) => {
    const { permissions, ...more } = holder;
    return [name, issueKey({ name, permissions: [...permissions], ...withPipelines(more) })] as const;
  });
  await changeKeys(KEYS, () => issued.map(([, { key }]) => key), { create: true });
  const each = <T>(of: (one: (typeof issued)[number][1]) => T) =>
    Object.fromEntries(issued.map(([name, one]) => [name, of(one)])) as Record<Holder, T>;
  return { secrets: each(({ secret }) => secret), ids: each(({ key }) => key.id) };
}

type Limited = { readonly tenant: string; readonly limits: { readonly rate: { readonly perSecond: number } } };
const withPipelines = ({ pipelines, ...more }: Limited & { readonly pipelines?: readonly string[] }) => ({
  ...more,
  ...(pipelines && { pipelines: [...pipelines] }),
});
