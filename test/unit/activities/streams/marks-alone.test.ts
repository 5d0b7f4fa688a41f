import { describe, expect, it } from 'vitest';
import { MillraceError } from '../../../../pipelines/errors.js';
import { PIECES, run, signal, whole } from './stream-run.js';

describe('a speaking stage, of pieces that are marks alone,', () => {
  it('asks a voice for no piece that is marks alone, and counts them in the positions of the others', async () => {
    const { produce, speak } = run();
    const text = 'One sentence is here.\n---\n```\nA second one follows.\n|---|---|\nAnd a third one ends it.\n***\n';
    await produce(whole(text));
    const said: string[] = [];
    const at: number[] = [];
    const voice = (failAt?: string) =>
      speak(
        async (piece) => {
          if (!/\w/.test(piece)) throw new MillraceError('INVALID_OUTPUT', 'no samples');
          if (piece === failAt) throw new MillraceError('BACKEND_ERROR', 'no');
          said.push(piece);
        },
        signal(),
        (chunk, number) => {
          at[number] = chunk.at;
        },
      );
    const pieces = PIECES.map((piece) => piece.trim());
    await expect(voice(pieces[2])).rejects.toMatchObject({ code: 'BACKEND_ERROR' });
    await voice();
    expect(said).toEqual(pieces);
    // Each begins with the line break before it.
    expect(at).toEqual([0, text.indexOf('\nA second'), text.indexOf('\nAnd a third')]);
  });

  it('speaks an emoji alone', async () => {
    const { produce, speak } = run();
    await produce(whole('🎉\n🇩🇪'));
    const said: string[] = [];
    await speak(async (text) => void said.push(text));
    expect(said).toEqual(['🎉', '🇩🇪']);
  });

  it.each([
    ['---\n***\n \n', '***', 3],
    ['…', '…', 0],
  ])('asks for the last marks of a text that has nothing else: %j', async (text, marks, at) => {
    const { produce, speak } = run();
    await produce(whole(text));
    const dying = new AbortController();
    const failing = speak(async () => {
      dying.abort(new Error('the worker died'));
      dying.signal.throwIfAborted();
    }, dying.signal);
    await expect(failing).rejects.toThrow('the worker died');
    const said: string[] = [];
    const spoken: number[] = [];
    const again = () =>
      speak(
        async (piece) => void said.push(piece),
        signal(),
        (chunk) => void spoken.push(chunk.at),
      );
    expect((await again()).output).toEqual({ audio: { uri: `<${marks}>` } });
    expect(spoken).toEqual([at]);
    await again();
    expect(said).toEqual([marks]);
  });

  it('has nothing to say for white space', async () => {
    const { produce, speak } = run();
    await produce(whole(' \n '));
    await expect(speak(async () => undefined)).rejects.toMatchObject({ code: 'INVALID_INPUT' });
  });
});
