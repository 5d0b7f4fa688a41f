import type { Client } from '@temporalio/client';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Artifact } from '../../pipelines/artifact.js';
import { connect, fixtures, resultOf, start } from '../support/runs.js';
import { testSettings } from '../support/settings.js';
import { openSpeech, type Speech, wordAccuracy } from '../support/speech.js';

const QUESTIONS = [
  'What is the capital of Italy?',
  'How many days are there in a week?',
  'Which planet is closest to the sun?',
  'Why does ice float on water?',
  'Please name three animals that can swim.',
  'What should I drink when I have a cold?',
];

let speech: Speech;
let client: Client;
beforeAll(async () => {
  [speech, client] = await Promise.all([openSpeech(), connect()]);
});
afterAll(async () => {
  speech.close();
  await client.connection.close();
});

it('hears six spoken questions and says its replies so that they can be understood', async () => {
  const questions: number[] = [];
  const said: number[] = [];
  for (const question of QUESTIONS) {
    const audio = await speech.speak(question);
    const run = await start(
      client,
      fixtures.voiceAssistant,
      { speech: { ...audio } },
      testSettings().MILLRACE_TASK_QUEUE,
    );
    const { output } = await resultOf(run);
    const { transcript, reply } = output as { transcript: string; reply: string };
    const recognised = await speech.recognise(output.speech as unknown as Artifact);
    questions.push(wordAccuracy(question, transcript));
    said.push(wordAccuracy(reply, recognised));
    process.stdout.write(`  "${question}" → "${transcript}" → "${reply}" → "${recognised}"\n`);
  }
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  process.stdout.write(`  word accuracy: questions ${mean(questions).toFixed(3)}, replies ${mean(said).toFixed(3)}\n`);
  expect(mean(questions)).toBeGreaterThanOrEqual(0.95);
  expect(mean(said)).toBeGreaterThanOrEqual(0.9);
});
