import { describe, expect, it } from 'vitest';
import { states } from '../../../../bench/agent/sessions/judge.js';
import { atOnce, conversationOf } from '../../../../bench/agent/sessions/planted.js';

const SEEDS = Array.from({ length: 50 }, (_, i) => i + 1);

describe('a conversation with planted facts', () => {
  it.each(SEEDS)('has 20 turns, and asks for each fact after it was said (seed %i)', (seed) => {
    const { facts, turns } = conversationOf(seed);
    expect(turns).toHaveLength(20);
    expect(new Set(facts.map(({ asks }) => asks)).size).toBe(8);
    const asking = turns.slice(12);
    expect(asking.map(({ asked }) => asked)).toEqual(expect.arrayContaining([...facts]));
    for (const [i, fact] of facts.entries()) expect(turns[i]?.says).toContain(fact.says);
    for (const { says, asked } of asking) {
      expect(says).toBe(asked?.asks);
      // The judge finds the fact in what was said, and nowhere else: not in the question, not in other turns.
      expect(states(asked?.says ?? '', asked?.wordings ?? [])).toBe(true);
      const others = turns.filter((turn) => !turn.says.includes(asked?.says ?? ''));
      for (const other of others) expect(states(other.says, asked?.wordings ?? [])).toBe(false);
    }
  });

  it('is decided by its seed', () => {
    expect(conversationOf(7)).toEqual(conversationOf(7));
    expect(conversationOf(7)).not.toEqual(conversationOf(8));
  });

  it('can be asked at once', () => {
    const conversation = conversationOf(1);
    const [first] = conversation.facts;
    const said = atOnce(conversation, first?.asks ?? '');
    for (const { says } of conversation.facts) expect(said).toContain(says);
    expect(said.endsWith(first?.asks ?? '')).toBe(true);
  });
});
