import type { FactStore } from '../../stores/sessions/index.js';
import type { WorkerKind } from '../stage/worker-kind.js';

/** Stage kind for what an agent remembers of a user: it reads all facts, adds one, or removes one. */
export const memoryKind =
  (store: Pick<FactStore, 'list' | 'add' | 'remove'>): WorkerKind =>
  async ({ with: options, input, tenant }, { idempotencyKey }) => {
    const { user, of, remember, forget } = input as unknown as {
      user: string;
      of: string;
      remember?: string;
      forget?: number;
    };
    const name = { tenant, of, user };
    if (remember !== undefined) {
      const most = Number(options.facts);
      const text = onOneLine(remember);
      if (text === '') return { text: 'Not remembered: the fact is empty.' };
      const id = await store.add(name, { key: idempotencyKey, text, most, ttlMs: Number(options.ttlMs) });
      if (id === undefined)
        return { text: `Not remembered: there are ${most} facts already. Forget one that matters less first.` };
      return { text: `Remembered as [${id}].` };
    }
    if (forget !== undefined) {
      const isGone = await store.remove(name, forget);
      return { text: isGone ? `Fact [${forget}] is forgotten.` : `There is no fact [${forget}].` };
    }
    const facts = await store.list(name);
    return { facts: facts.map(({ id, text }) => ({ id, text })) };
  };

/** A fact with line ends could look like several, or like the end of the list. */
const onOneLine = (text: string): string => text.replace(/[\s\p{Cc}\p{Cs}]+/gu, ' ').trim();
