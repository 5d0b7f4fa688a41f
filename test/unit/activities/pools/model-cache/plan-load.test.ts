import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LoadState } from '../../../../../activities/connectors/connector.js';
import { type KnownModel, planLoad } from '../../../../../activities/pools/model-cache/plan-load.js';
import { greedyDual } from '../../../../../activities/pools/model-cache/policy.js';

const model = (more: Partial<KnownModel> = {}): KnownModel => ({
  ...{ bytes: 10, uses: 1, at: 0, clock: 0, loadMs: 100, held: false, wanted: false, pinned: false },
  ...more,
});
const planFor = (
  known: Readonly<Record<string, KnownModel>>,
  states: Readonly<Record<string, LoadState>>,
  budget = 30,
) => {
  const plan = planLoad({
    ...{ model: 'new', budget, worth: greedyDual },
    known: new Map(Object.entries({ new: model(), ...known })),
    states: new Map(Object.entries(states)),
  });
  return 'victims' in plan ? plan.victims.map(({ name }) => name) : plan.next;
};

describe('what is done so that a model is loaded', () => {
  it('is nothing if the server has it, whoever loaded it', () => {
    expect(planFor({}, { new: 'ready' })).toBe('ready');
  });

  it.each<[string, KnownModel, LoadState | undefined]>([
    ['a worker loads it', model({ changing: 'load' }), undefined],
    ['a worker unloads it', model({ changing: 'unload' }), 'ready'],
    ['another client loads it', model(), 'loading'],
  ])('is to wait while %s', (_, own, state) => {
    expect(planFor({ new: own }, state ? { new: state } : {})).toBe('wait');
  });

  it('is to load it, where it is said for ever to be unloaded: its process is dead', () => {
    expect(planFor({}, { new: 'unloading' })).toEqual([]);
  });

  it('is to load it if there is room, and no model of others takes any', () => {
    expect(planFor({ a: model(), b: model() }, { a: 'ready', b: 'ready', whisper: 'ready' })).toEqual([]);
  });

  it('is to unload the idle model that is worth least', () => {
    const known = { a: model({ uses: 5 }), b: model({ uses: 2 }), c: model({ uses: 3 }) };
    expect(planFor(known, { a: 'ready', b: 'ready', c: 'ready' })).toEqual(['b']);
  });

  it.each<[string, Partial<KnownModel>]>([
    ['has calls', { held: true }],
    ['is waited for', { wanted: true }],
    ['is pinned', { pinned: true }],
    ['is being unloaded', { changing: 'unload' }],
  ])('is not to unload a model that %s', (_, more) => {
    const states = { a: 'ready', b: 'ready', c: 'ready' } as const;
    expect(planFor({ a: model(more), b: model({ uses: 9 }), c: model({ uses: 9 }) }, states)).toEqual(['b']);
    expect(planFor({ a: model(more), b: model(more), c: model(more) }, states)).toBe('full');
  });

  it('counts what is being loaded and what is still being unloaded', () => {
    const busy = { a: model({ changing: 'load' }), b: model(), c: model({ held: true }) };
    expect(planFor(busy, { b: 'unloading', c: 'ready' })).toBe('full');
    expect(planFor(busy, { b: 'unloading', c: 'ready' }, 40)).toEqual([]);
  });

  it('never exceeds the memory, and never unloads what is in use', () => {
    const any = fc.record({
      bytes: fc.integer({ min: 1, max: 50 }),
      uses: fc.nat(10),
      held: fc.boolean(),
      wanted: fc.boolean(),
      pinned: fc.boolean(),
      changing: fc.option(fc.constantFrom('load' as const, 'unload' as const), { nil: undefined }),
      state: fc.option(fc.constantFrom<LoadState>('ready', 'loading', 'unloading'), { nil: undefined }),
    });
    fc.assert(
      fc.property(fc.dictionary(fc.string({ minLength: 1, maxLength: 3 }), any), fc.nat(200), (others, budget) => {
        const all = Object.entries(others).filter(([name]) => name !== 'new');
        const known = new Map<string, KnownModel>([
          ['new', model()],
          ...all.map(([name, { state: _, ...more }]) => [name, model(more)] as const),
        ]);
        const states = new Map(all.flatMap(([name, { state }]) => (state ? [[name, state] as const] : [])));
        const plan = planLoad({ model: 'new', budget, known, states, worth: greedyDual });
        if (plan.next !== 'load') {
          expect(plan.next).toBe('full');
          return;
        }
        const gone = new Set(plan.victims.map(({ name }) => name));
        for (const name of gone) {
          expect(states.get(name)).toBe('ready');
          expect(known.get(name)).toMatchObject({ held: false, wanted: false, pinned: false, changing: undefined });
        }
        const left = [...known].filter(
          ([name, { changing }]) => !gone.has(name) && (states.has(name) || changing === 'load' || name === 'new'),
        );
        expect(left.reduce((sum, [, { bytes }]) => sum + bytes, 0)).toBeLessThanOrEqual(budget);
      }),
    );
  });
});
