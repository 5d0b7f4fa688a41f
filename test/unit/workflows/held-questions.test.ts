import { describe, expect, it } from 'vitest';
import type { Elicited, HeldQuestion, Question } from '../../../pipelines/run/index.js';
import { HeldQuestions } from '../../../workflows/held-questions.js';

const asked = (path: string, attempt = 1): HeldQuestion => ({ path, attempt, question: { message: path } });
const never = new Promise<never>(() => undefined);

/** Answers when it is told to; `cancel` when nobody waits any more. */
class Person {
  readonly seen: Question[] = [];
  readonly #answers: ((answer: Elicited) => void)[] = [];

  readonly answer = (question: Question, over: Promise<void>): Promise<Elicited> => {
    this.seen.push(question);
    const given = new Promise<Elicited>((resolve) => this.#answers.push(resolve));
    return Promise.race([given, over.then((): Elicited => ({ action: 'cancel' }))]);
  };

  says(answer: Elicited): void {
    this.#answers.shift()?.(answer);
  }
}

describe('questions of calls that workers hold open', () => {
  it('are refused where no call is open', async () => {
    const held = new HeldQuestions();
    expect(() => held.check(asked('a'))).toThrow(expect.objectContaining({ code: 'NOT_WAITING' }));
    await expect(held.ask(asked('a'))).rejects.toMatchObject({ code: 'NOT_WAITING' });
  });

  it('are answered while the call is open, and over when it ends', async () => {
    const held = new HeldQuestions();
    const person = new Person();
    let end: (result: string) => void = () => undefined;
    const call = held.during('a', person.answer, new Promise<string>((resolve) => (end = resolve)));
    const first = held.ask(asked('a'));
    person.says({ action: 'accept' });
    expect(await first).toEqual({ action: 'accept' });
    const second = held.ask(asked('a'));
    end('done');
    expect(await call).toBe('done');
    expect(await second).toEqual({ action: 'cancel' });
    expect(() => held.check(asked('a'))).toThrow();
  });

  it('of an earlier attempt are over as soon as the next one asks', async () => {
    const held = new HeldQuestions();
    const person = new Person();
    void held.during('a', person.answer, never);
    const first = held.ask(asked('a', 1));
    const second = held.ask(asked('a', 2));
    expect(await first).toEqual({ action: 'cancel' });
    expect(await held.ask(asked('a', 1))).toEqual({ action: 'cancel' });
    person.says({ action: 'decline' });
    person.says({ action: 'accept' });
    expect(await second).toEqual({ action: 'accept' });
  });

  it('leave room for decisions: a fifth one is asked later', async () => {
    const held = new HeldQuestions();
    const person = new Person();
    void held.during('a', person.answer, never);
    const open = Array.from({ length: 4 }, () => held.ask(asked('a')));
    expect(() => held.check(asked('a'))).toThrow(expect.objectContaining({ code: 'RATE_LIMITED' }));
    person.says({ action: 'accept' });
    await open[0];
    expect(() => held.check(asked('a'))).not.toThrow();
  });
});
