import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Automation } from '../../../../cli/auto/automation.js';
import type { Missing } from '../../../../measure/replan/index.js';
import { MillraceError } from '../../../../pipelines/errors.js';
import { evidenceOf, type Policy } from '../../../../placement/auto/index.js';
import { good, placed, policy, RATE, type Story, World } from './world.js';

const [one, two, three, both] = [placed('g/1'), placed('g/2'), placed('g/3'), placed('g/1+g/2')];
/** It has drifted, and another placement is proposed. */
const drifted: Story = { drift: [RATE], proposal: two };
const failing = { ...good, completed: 250, failed: 50 };
const late = { ...good, budgets: [{ of: 'p99', share: 0.99, ms: 400, count: 300, late: 30 }] };
const few = { ...good, started: { voice: 5 }, completed: 5, runs: { count: 5, p50Ms: 50, p95Ms: 100 }, budgets: [] };
const stuck = { ...few, started: { voice: 300 } };
/** Of a stage, so many calls were looked at, and so many of them were late. */
const calls = (count: number, beyond = 0) => ({
  ...good,
  budgets: [{ of: 'voice/hear latency p99', stage: 'voice/hear', share: 0.99, ms: 400, count, late: beyond }],
});
const TOO_FEW = /too few were measured to judge voice\/hear latency p99 \(3 calls, fewer than 20\)/;
const gone = new MillraceError('BACKEND_UNAVAILABLE', 'none of the placement’s 1 devices serves anything');
const away = new Error('Temporal is away');
const silent: readonly Missing[] = [{ what: 'servers', text: 'g is silent' }];
const idle: readonly Missing[] = [{ what: 'workers', text: 'no worker' }];
const many = 'changes: { most: 9, coolDown: 1s }\n';
/** Broken by the change, as two measurements show. */
const refuted: Story = { ...drifted, measured: [good, good, failing] };

const run = (world: World, of: Policy = policy(), everyMs = 60_000) => new Automation(of, world, everyMs).run();
/** What was done from the begin of the change on. */
const change = ({ done }: World) => done.slice(done.indexOf('journal switch'));
const written = ({ done }: World) => done.filter((each) => /^(apply|restore)/.test(each));
const held = ({ events }: World) => events.flatMap(({ event, text }) => (event === 'held' ? [text] : []));
const KEPT = ['started', 'switched', 'kept'];
const BACK = ['started', 'switched', 'refuted', 'rolled-back'];
const UNVERIFIED = ['started', 'switched', 'unverified'];
const NO_RETURN = ['started', 'switched', 'refuted', 'retried', 'retried', 'unverified'];

describe('a change within a policy', () => {
  it('is asked for, switched, verified and kept, each step in the journal before it is taken', async () => {
    const world = new World(one, drifted);
    await run(world);
    expect(world.done).toEqual(['ask g/2', 'journal switch', 'apply g/2', 'journal verify', 'journal ended']);
    expect([world.course, world.inForce()]).toEqual([KEPT, two.version]);
    // Nothing else is written.
    const files = ['', '.applied', '.auto.json'].map((of) => `placement.json${of}`);
    expect(readdirSync(world.folder).sort()).toEqual(files);
    expect(world.journal).toMatchObject({ changes: [{ from: one.version, to: two.version, outcome: 'kept' }] });
    expect([world.journal.refused, world.journal.open, world.hold]).toEqual([[], undefined, undefined]);
    const of = (event: string) => world.events.find((each) => each.event === event);
    expect(of('started')).toMatchObject({
      text: 'rate voice; 1.00 -> 1.00 EUR an hour; verified for 5 min',
      evidence: { drift: [RATE], before: { started: 300 }, predicted: { p95Ms: 100 } },
    });
    expect(of('kept')).toMatchObject({
      text: expect.stringMatching(/; new runs do not use g\/1 any more$/),
      evidence: { before: { started: 300 }, after: { completed: 300 } },
    });
  });

  it('is kept though a stage is hardly ever called, and says that its objective was not judged', async () => {
    const world = new World(one, { ...drifted, measured: [calls(3)] });
    await run(world);
    expect([world.course, world.hold]).toEqual([KEPT, undefined]);
    expect(world.events.find(({ event }) => event === 'kept')?.text).toMatch(TOO_FEW);
  });

  it('is measured for longer where that may tell of a stage that has too few calls yet', async () => {
    // Two before the change, and five in the five minutes after it.
    const measured = [...Array.from({ length: 7 }, () => calls(12)), calls(24)];
    const world = new World(one, { ...drifted, measured });
    let [switched, kept] = [0, 0];
    world.onAction = (action) => {
      if (action.startsWith('apply')) switched = world.now();
      if (action === 'journal ended') kept = world.now();
    };
    await run(world);
    expect([world.course, kept - switched]).toEqual([KEPT, 360_000]);
    expect(world.events.find(({ event }) => event === 'kept')?.text).not.toMatch(/too few/);
    // For twice the time, and no longer.
    const rare = new World(one, { ...drifted, measured: [calls(12)] });
    await run(rare);
    expect([rare.course, rare.hold]).toEqual([KEPT, undefined]);
    expect(rare.events.find(({ event }) => event === 'kept')?.text).toMatch(/\(12 calls, fewer than 20\)/);
  });

  it('is not begun if somebody has applied another placement since the measurement, which is left alone', async () => {
    const world = new World(one, drifted);
    world.onAction = (action) => {
      if (action === 'ask g/2' && world.inForce() === one.version) world.put(three);
    };
    await run(world);
    expect([world.course, written(world), world.inForce()]).toEqual([[], [], three.version]);
    expect(held(world).at(-1)).toMatch(/^a person has applied the placement in force/);
  });
});

describe('a placement of which something does not serve', () => {
  it('is held back, with what is missing and how to start it, until it is there', async () => {
    const story = { ...drifted, measured: [new Error('no answer'), good] };
    const world = new World(one, { ...story, missing: { 'g/2': [silent, idle, away, []] } });
    await run(world);
    expect(held(world).slice(1)).toEqual(['g is silent. start them', 'no worker']);
    // It goes on when it cannot measure or ask.
    expect([world.complaints, world.course]).toEqual([['Error: no answer', 'Error: Temporal is away'], KEPT]);
  });
});

describe('a person who asks to wait', () => {
  it('just before the switch has it left out', async () => {
    const world = new World(one, drifted);
    world.onAction = (action) => {
      if (action === 'ask g/2') world.hold = 'not now';
    };
    await run(world);
    expect([world.course, written(world), world.hold]).toEqual([[], [], 'not now']);
  });

  it('while a change is measured has it left as it is', async () => {
    const world = new World(one, refuted);
    world.onAction = (action) => {
      if (action === 'journal verify') world.hold = 'not now';
    };
    await run(world);
    expect([written(world), world.inForce()]).toEqual([['apply g/2'], two.version]);
    expect(world.journal.changes).toMatchObject([{ outcome: 'unverified', why: expect.stringMatching(/not now$/) }]);
    // What it has to say comes after what the person has written.
    expect(world.hold).toMatch(/^not now\n\nthe change from .* could not be verified: /);
  });
});

describe('a change that has broken something', () => {
  const lost = { ...good, lost: [{ device: 'g/2', because: 'it is silent' }] };
  it.each([
    ['at once with failing runs', failing, 120_000, /^50 of 300 runs failed, above 1 %/],
    ['at once with an added device that is lost', lost, 120_000, /^g\/2 serves nothing: it is/],
    ['at once if nothing answers', gone, 120_000, /^it could not be measured: none/],
    // Late runs after a switch may have met cold caches.
    ['at the end if it spends its error budget', late, 360_000, /^p99: 30 of 300 took more than 400 ms, above 1 %/],
    ['when all time is over if runs do not end', stuck, 660_000, /^of 300 runs that began, 5 have ended/],
  ])('is taken back %s', async (_, after, afterMs, why) => {
    const world = new World(one, { ...drifted, measured: [good, good, after] });
    let [switched, restored] = [0, 0];
    world.onAction = (action) => {
      if (action.startsWith('apply')) switched = world.now();
      if (action.startsWith('restore')) restored = world.now();
    };
    await run(world, policy(many));
    expect([world.course, restored - switched]).toEqual([BACK, afterMs]);
    expect(world.events.find(({ event }) => event === 'refuted')?.text).toMatch(why);
    // What the former one needs serves still.
    expect(change(world).slice(-4)).toEqual(['ask g/1', 'journal back', 'restore g/1', 'journal ended']);
    expect(world.journal.changes.at(-1)).toMatchObject({ outcome: 'rolled-back', why: expect.stringMatching(why) });
    // The same proposal is not tried again, though nothing else speaks against it.
    expect(written(world)).toEqual(['apply g/2', 'restore g/1']);
    if (after instanceof Error) return;
    expect(held(world).at(-1)).toMatch(/^it was taken back before, and is not tried again before 2026-03-03T/);
  });

  it('is taken back for late calls of a stage, of which fewer are looked at than runs must end', async () => {
    const world = new World(one, { ...drifted, measured: [calls(60), calls(60), calls(60, 30)] });
    await run(world, policy('verify: { runs: 200 }\n'));
    expect(world.course).toEqual(BACK);
    expect(world.events.find(({ event }) => event === 'refuted')?.text).toMatch(/^voice\/hear latency p99: 30 of 60/);
  });

  it('is taken back within minutes, however rarely the placement is measured', async () => {
    const world = new World(one, refuted);
    let [switched, restored] = [0, 0];
    world.onAction = (action) => {
      if (action.startsWith('apply')) switched = world.now();
      if (action.startsWith('restore')) restored = world.now();
    };
    world.endIn(14_400_000);
    await run(world, policy(), 3_600_000);
    expect([restored - switched, world.inForce()]).toEqual([120_000, one.version]);
  });

  it.each([2, 6])('is not taken back for a single unlucky measurement, here the one after %i', async (before) => {
    const measured = [...Array.from({ length: before }, () => good), failing, good];
    const world = new World(one, { ...drifted, measured });
    await run(world);
    expect(world.course).toEqual(KEPT);
  });

  it('is taken back if it shows for the first time when all time is over', async () => {
    // Nine measurements of few runs in five and five minutes, then the last one.
    const measured = [good, good, ...Array.from({ length: 9 }, () => few), failing];
    const world = new World(one, { ...drifted, measured });
    await run(world);
    expect(world.course).toEqual(BACK);
  });

  it.each<[string, number, readonly (readonly Missing[] | Error)[]]>([
    ['the disk', 2, []],
    ['a canary of the former one', 0, [silent, away, []]],
  ])('is taken back though %s fails at first', async (_, times, canaries) => {
    const world = new World(one, { ...refuted, missing: { 'g/1': canaries } });
    let failed = 0;
    world.onAction = (action) => {
      if (action !== 'restore g/1' || failed === times) return;
      failed += 1;
      throw new Error('the disk is full');
    };
    await run(world);
    expect(world.course).toEqual(['started', 'switched', 'refuted', 'retried', 'retried', 'rolled-back']);
    expect(world.inForce()).toBe(one.version);
  });

  it('is taken back though a server that both use is full: only what the former one has besides is asked', async () => {
    const less = placed('g/1', { ratePerSecond: 0.5, costPerHour: 0.5 });
    const peak = { ...late, started: { voice: 600 } };
    const story = { drift: [RATE], proposal: less, measured: [good, good, peak] };
    const world = new World(both, { ...story, missing: { 'g/1': [[], silent] } });
    await run(world);
    expect([world.course, world.hold]).toEqual([BACK, undefined]);
    expect(change(world).slice(-4)).toEqual(['ask g/2', 'journal back', 'restore g/1+g/2', 'journal ended']);
  });

  it('is back if the disk fails when the file was replaced already', async () => {
    const world = new World(one, refuted);
    world.onAction = (action) => {
      if (action !== 'restore g/1') return;
      world.put(one);
      throw new Error('the disk is full');
    };
    await run(world);
    expect([world.course, world.hold]).toEqual([BACK, undefined]);
  });

  it('is back if the journal cannot be written after that: the next process writes it', async () => {
    const world = new World(one, refuted);
    world.onAction = (action) => {
      if (action === 'journal ended') throw new Error('the disk is full');
    };
    await expect(run(world)).rejects.toThrow('the disk is full');
    expect([world.journal.open?.step, world.inForce(), world.hold]).toEqual(['back', one.version, undefined]);
    const next = new World(world);
    await run(next);
    expect([next.course, next.journal.open]).toEqual([['resumed', 'rolled-back'], undefined]);
  });
});

describe('a change of which nobody knows whether it is good', () => {
  const lost = [{ device: 'g/1', because: 'it is silent' }];
  const wasBroken = { ...good, lost };
  // To go back would leave nothing that serves.
  const isLost: Story = { proposal: both, measured: [good, good, { ...failing, lost }] };
  const notBack = /^50 of 300 runs failed.* it was not taken back to .*: g is silent$/;
  it.each<[string, Story, RegExp, readonly string[]]>([
    ['too few runs end', { measured: [good, good, few] }, /^5 runs ended in 5 min, fewer than the 20/, UNVERIFIED],
    ['a stage makes hardly any call any more', { measured: [calls(60), calls(60), calls(3)] }, TOO_FEW, UNVERIFIED],
    ['a device was lost before', { measured: [wasBroken, wasBroken, failing] }, /^50 of 300 runs failed/, UNVERIFIED],
    ['the one before does not serve', { ...refuted, missing: { 'g/1': [silent] } }, notBack, NO_RETURN],
    ['a device that the one before uses too is lost', isLost, /^50 of 300 runs failed/, UNVERIFIED],
  ])('is kept, and a person has to look, where %s', async (_, story, why, course) => {
    const world = new World(one, { ...drifted, ...story });
    await run(world);
    expect([world.course, world.inForce()]).toEqual([course, (story.proposal ?? two).version]);
    expect(world.journal.changes).toMatchObject([{ outcome: 'unverified', why: expect.stringMatching(why) }]);
    expect(world.hold).toMatch(/ is kept, but could not be verified: /);
  });

  it('is taken back if it is smaller, and the one before was whole and serves', async () => {
    const less = placed('g/2', { ratePerSecond: 0.5, costPerHour: 0.5 });
    const cases: readonly (readonly [Story, readonly string[]])[] = [
      [{ measured: [good, good, few] }, BACK],
      [{ measured: [good, good, away] }, BACK],
      // Traffic has come back: it is late because it is small.
      [{ measured: [good, good, { ...late, started: { voice: 600 } }] }, BACK],
      [{ measured: [wasBroken, wasBroken, few] }, UNVERIFIED],
      [{ measured: [good, good, few], missing: { 'g/1': [silent] } }, NO_RETURN],
    ];
    for (const [story, course] of cases) {
      const world = new World(one, { ...drifted, proposal: less, ...story });
      await run(world);
      expect(world.course).toEqual(course);
      expect(world.inForce()).toBe(course === BACK ? one.version : less.version);
      expect(world.hold === undefined).toBe(course === BACK);
    }
  });

  it('lets nothing else be changed until a person has looked', async () => {
    const world = new World(one, { ...drifted, measured: [good, good, few] });
    world.onAction = (action) => {
      if (action === 'hold') world.story = { ...drifted, proposal: three };
    };
    await run(world, policy(many));
    expect(written(world)).toEqual(['apply g/2']);
    expect(held(world).at(-1)).toMatch(/could not be verified/);
    world.hold = undefined;
    world.endIn(3_600_000);
    await run(world, policy(many));
    expect(world.inForce()).toBe(three.version);
  });
});

it('tells reasons to hold a proposal back once an hour, also if they come and go', async () => {
  const missing = { 'g/2': Array.from({ length: 200 }, (_, i) => (i % 2 ? silent : [...silent, ...idle])) };
  const world = new World(one, { ...drifted, missing });
  world.endIn(7_200_000);
  await run(world);
  // The first measurement, and both of the others twice.
  expect(held(world).length).toBeLessThanOrEqual(6);
  expect(held(world).length).toBeGreaterThanOrEqual(4);
});

describe('a process that ends in the middle', () => {
  /** Runs until an action, at which the process is killed. */
  async function killedAt(action: string, story: Story): Promise<World> {
    const world = new World(one, story);
    let isDead = false;
    world.onAction = (each) => {
      isDead ||= each === action && world.journal.open !== undefined;
      if (isDead) throw new Error('killed');
    };
    await run(world).catch(() => undefined);
    expect(world.journal.open).toBeDefined();
    return world;
  }
  async function followed(before: World, story: Story = {}): Promise<World> {
    const world = new World(before, story);
    world.endIn(900_000);
    await run(world);
    return world;
  }

  it.each([
    ['apply g/2', one, ['resumed', 'abandoned']],
    ['journal verify', two, ['resumed', 'switched', 'kept']],
    ['journal ended', two, ['resumed', 'kept']],
  ])('before "%s" is followed by one that goes on', async (action, inForce, course) => {
    const world = await followed(await killedAt(action, drifted));
    expect([world.course, world.inForce(), world.journal.open]).toEqual([course, inForce.version, undefined]);
    expect(written(world)).toEqual([]);
  });

  it.each([
    ['journal back', ['resumed', 'refuted', 'rolled-back']],
    ['restore g/1', ['resumed', 'rolled-back']],
    ['journal ended', ['resumed', 'rolled-back']],
  ])('while a change is taken back, before "%s", is followed by one that does so', async (action, course) => {
    const world = await followed(await killedAt(action, refuted), { measured: [failing] });
    expect([world.course, world.inForce()]).toEqual([course, one.version]);
    expect(world.journal).toMatchObject({
      changes: [{ outcome: 'rolled-back', why: expect.stringMatching(/^50 of 300/) }],
      refused: [{ version: two.version }],
    });
  });

  it('while a change is taken back is followed by one that asks again whether the former one serves', async () => {
    const world = await followed(await killedAt('restore g/1', refuted), { missing: { 'g/1': [silent] } });
    expect([world.inForce(), written(world)]).toEqual([two.version, []]);
    expect(world.journal.changes).toMatchObject([{ outcome: 'unverified' }]);
  });

  it('because it is told to begins no change, or leaves one to the next process', async () => {
    for (const [action, step] of [
      ['ask g/2', undefined],
      ['journal verify', 'verify'],
    ] as const) {
      const world = new World(one, drifted);
      world.onAction = (each) => {
        if (each === action) world.endIn(0);
      };
      await run(world);
      expect([world.journal.open?.step, world.done.at(-1)]).toEqual([step, action]);
    }
  });

  it('before the switch is not in the way of a person who applies a placement in the meantime', async () => {
    const dead = await killedAt('apply g/2', drifted);
    dead.put(three);
    const world = await followed(dead);
    expect([world.course, world.inForce(), world.hold]).toEqual([['resumed', 'abandoned'], three.version, undefined]);
  });
});

describe('somebody else who changes the placement', () => {
  it.each(['journal verify', 'ask g/1'])('at "%s" ends the change, which touches nothing any more', async (action) => {
    const world = new World(one, refuted);
    world.onAction = (each) => {
      if (each === action) world.put(three);
    };
    const error = await run(world).catch((thrown: unknown) => thrown);
    if (!(error instanceof MillraceError)) expect.fail(String(error));
    expect(error.code).toBe('PLACEMENT_CHANGED');
    expect(error.message).toMatch(new RegExp(`changed the placement to ${three.version} .*at the step "verify"`));
    expect([world.inForce(), written(world)]).toEqual([three.version, ['apply g/2']]);
    expect(world.journal.open).toBeUndefined();
    expect(world.journal.changes.at(-1)).toMatchObject({ outcome: 'interrupted' });
    expect(world.hold).toMatch(/^somebody else has changed/);
  });

  it.each([
    ['ask g/2', []],
    ['apply g/2', ['apply g/2']],
  ])('by a change of another process, which the lock did not see, at "%s" ends this one', async (action, done) => {
    const world = new World(one, drifted);
    const open = { from: one, to: three, step: 'switch' as const, at: world.at(), before: evidenceOf(good) };
    const others = { ...world.journal, open };
    world.onAction = (each) => {
      if (each === action) world.journal = others;
    };
    await expect(run(world)).rejects.toMatchObject({ code: 'PLACEMENT_LOCKED' });
    expect([world.journal, written(world)]).toEqual([others, done]);
  });
});
