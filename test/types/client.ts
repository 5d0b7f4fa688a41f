/** What the client's types must know, and refuse. */

import { z } from 'zod';
import { MillraceClient, named, type ServedArtifact } from '../../client/index.js';
import { voiceAssistant } from '../../pipelines/catalog/index.js';
import { audio, pipeline } from '../../pipelines/index.js';

const client = new MillraceClient({ baseUrl: 'http://127.0.0.1:7400' });
const file = new File([], 'question.wav');
const shelf = pipeline(
  'shelf',
  { input: z.object({ clips: z.array(audio()), note: z.string().default('') }) },
  ({ input }) => ({ clips: input.clips, note: input.note }),
);

export async function typed(): Promise<void> {
  const { output } = await client.run(voiceAssistant, { speech: file });
  const reply: string = output.reply;
  const speech: ServedArtifact = output.speech;
  await client.artifact(speech);
  // @ts-expect-error the output has no such field
  output.answer;
  await client.run(voiceAssistant, { speech: Buffer.from('RIFF') });
  await client.run(voiceAssistant, { speech: new Uint8Array(4).buffer });
  // @ts-expect-error a media field takes a file, bytes, base64 or a reference
  await client.run(voiceAssistant, { speech: 'question.wav' });
  // @ts-expect-error the input has no such field
  await client.run(voiceAssistant, { speech: file, language: 'en' });
  // @ts-expect-error the field is required
  await client.start(voiceAssistant, {});

  const first: ServedArtifact | undefined = (await client.run(shelf, { clips: [file, { base64: '' }] })).output
    .clips[0];
  // @ts-expect-error an item is no file
  await client.run(shelf, { clips: [1] });

  const byName = named<typeof voiceAssistant>('voice-assistant');
  const again: string = (await client.run(byName, { speech: { uri: speech.uri } })).output.transcript;
  // @ts-expect-error of a name alone nothing is known
  const unknown: string = (await client.run('voice-assistant', { speech: file })).output.reply;

  for await (const event of client.events('run')) {
    if (event.type === 'stage.delta') event.text satisfies string;
    // @ts-expect-error only text has text
    else event.text;
    if (event.type === 'run') event.run.status satisfies string;
  }
  void [reply, first, again, unknown];
}
