import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { Mailbox } from '../../../workers/mailbox.js';

describe('a mailbox', () => {
  it('keeps its messages from who has already left', async () => {
    const mailbox = new Mailbox();
    await expect(mailbox.take('a', AbortSignal.abort(new Error('left')))).rejects.toThrow('left');
    mailbox.send('a', 'hello');
    await expect(mailbox.take('a', AbortSignal.abort(new Error('left')))).rejects.toThrow('left');
    await expect(mailbox.take('a', new AbortController().signal)).resolves.toBe('hello');
  });

  it('keeps the next message when who waited for it leaves', async () => {
    const mailbox = new Mailbox();
    const leaving = new AbortController();
    const taken = mailbox.take('a', leaving.signal);
    leaving.abort(new Error('left'));
    mailbox.send('a', 'hello');
    await expect(taken).rejects.toThrow('left');
    await expect(mailbox.take('a', new AbortController().signal)).resolves.toBe('hello');
  });

  it('leaves nothing at the signal once a message has come', async () => {
    const mailbox = new Mailbox();
    const { signal } = new AbortController();
    const taken = mailbox.take('a', signal);
    expect(getEventListeners(signal, 'abort')).toHaveLength(1);
    mailbox.send('a', 'hello');
    await taken;
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  });
});
