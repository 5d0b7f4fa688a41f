import { readFileSync, writeFileSync } from 'node:fs';
import type { Client } from '@temporalio/client';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { shortest } from '../../activities/connectors/contract/expect.js';
import { MillraceClient, type RunDocument } from '../../client/index.js';
import { status } from '../../deploy/local/stack/index.js';
import { address, connect } from '../support/runs.js';
import { testSettings } from '../support/settings.js';
import { openSpeech, type Speech } from '../support/speech.js';

const MB = 1_000_000;
/** 96 kHz, eight channels, 32 bit: what is large is the file, and not its time. */
const FORMAT = { rate: 96_000, channels: 8, bytes: 4 };
/** An ordinary file, and one so large that it would show through any noise of the garbage collector if it were held whole. */
const BYTES = { ordinary: 20 * MB, large: 300 * MB };
/** The garbage collector alone has moved a peak by 119 MB, beside load. */
const HELD_WHOLE = 150 * MB;

/** A WAV in the large format: the speech, then silence up to the wanted size. */
async function largeWav(speech: Speech, text: string, bytes: number): Promise<Buffer> {
  const wav = Buffer.alloc(bytes);
  const { rate, channels, bytes: depth } = FORMAT;
  wav.write('RIFF', 0);
  wav.writeUInt32LE(bytes - 8, 4);
  wav.write('WAVEfmt ', 8);
  wav.writeUInt32LE(16, 16);
  wav.writeUInt16LE(1, 20);
  wav.writeUInt16LE(channels, 22);
  wav.writeUInt32LE(rate, 24);
  wav.writeUInt32LE(rate * channels * depth, 28);
  wav.writeUInt16LE(channels * depth, 32);
  wav.writeUInt16LE(depth * 8, 34);
  wav.write('data', 36);
  wav.writeUInt32LE(bytes - 44, 40);
  let at = 44;
  for await (const chunk of speech.audio.read(await speech.speak(text), { sampleRate: rate })) {
    for (const sample of chunk)
      for (let channel = 0; channel < channels; channel++)
        at = wav.writeIntLE(Math.round(sample * 0x7fffffff), at, depth);
  }
  return wav;
}

/** Forgets the peak of a process's memory (Linux: proc(5), clear_refs). */
const resetPeak = (pid: number) => writeFileSync(`/proc/${pid}/clear_refs`, '5');

/** Peak of the resident memory since it was forgotten, in bytes. */
function peak(pid: number): number {
  const kilobytes = Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
  return kilobytes * 1024;
}

let speech: Speech;
let client: Client;
beforeAll(async () => {
  [speech, client] = await Promise.all([openSpeech(), connect()]);
});
afterAll(async () => {
  speech.close();
  await client.connection.close();
});

const pidOf = (name: 'gateway' | 'worker') => status(testSettings()).parts.find((part) => part.name === name)?.pid ?? 0;

async function send(pipeline: string, bytes: number): Promise<RunDocument> {
  const form = new FormData();
  form.set('speech', new Blob([await largeWav(speech, 'What is the largest ocean in the world?', bytes)]), 'large.wav');
  const response = await fetch(`${address('GATEWAY_URL')}/v1/pipelines/${pipeline}/runs`, {
    method: 'POST',
    body: form,
  });
  const { id } = (await response.json()) as { id: string };
  return new MillraceClient({ baseUrl: address('GATEWAY_URL') }).wait(id);
}

/**
 * How much the peak of a process's memory grows from an ordinary file to a large one, in bytes: the least of at most three large ones, since a
 * file that is held whole shows in each. The ordinary file is sent twice before, because the first runs of a process take memory of their own.
 */
async function growth(pid: number, pipeline: string): Promise<{ runs: RunDocument[]; bytes: number }> {
  resetPeak(pid);
  const runs = [await send(pipeline, BYTES.ordinary), await send(pipeline, BYTES.ordinary)];
  const before = peak(pid);
  const bytes = await shortest(HELD_WHOLE, async () => {
    resetPeak(pid);
    runs.push(await send(pipeline, BYTES.large));
    const more = peak(pid) - before;
    process.stdout.write(
      `  ${BYTES.large / MB} MB: peak memory ${(before / MB).toFixed(0)} MB + ${(more / MB).toFixed(0)} MB\n`,
    );
    return more;
  });
  return { runs, bytes };
}

it('keeps media out of the history and out of the worker’s memory', async () => {
  const { runs, bytes } = await growth(pidOf('worker'), 'voice-assistant');
  for (const run of runs) {
    expect(run).toMatchObject({ status: 'succeeded' });
    expect(String(run.output?.transcript)).toContain('largest ocean');
    const { raw } = await client.workflow.getHandle(run.id).describe();
    expect(Number(raw.workflowExecutionInfo?.historySizeBytes)).toBeLessThan(100_000);
  }
  expect(bytes).toBeLessThan(HELD_WHOLE);
});

it('streams an upload through the gateway’s memory', async () => {
  const { runs, bytes } = await growth(pidOf('gateway'), 'pass-through');
  expect(new Set(runs.map(({ status }) => status))).toEqual(new Set(['succeeded']));
  expect(bytes).toBeLessThan(HELD_WHOLE);
});
