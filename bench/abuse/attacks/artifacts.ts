import type { Check } from '../attack.js';
import { exchange, json, outcomeOf, POST } from '../exchange.js';
import { silence } from './audio.js';

interface Run {
  readonly output: { readonly sound: { readonly uri: string; readonly sha256: string } };
}

/** Requests the bystander's file by its address. */
export const foreignArtifact: Check = {
  name: 'foreign-artifact',
  about: 'a file of the bystander’s by KServe’s door, in a run’s input and by its address',
  must: ['own file: 200', 'KServe: 404 ARTIFACT_NOT_FOUND', 'input: 404 ARTIFACT_NOT_FOUND'],
  async answers({ doors, secrets }) {
    const port = doors.http;
    const run = (secret: string, sound: object) =>
      exchange({
        port,
        path: '/v1/pipelines/keep/runs',
        secret,
        method: 'POST',
        headers: { ...POST.headers, prefer: 'wait=30' },
        body: JSON.stringify({ sound }),
      });
    const wav = silence(1_000, 8_000).toString('base64');
    const kept = await run(secrets.bystander, { base64: wav });
    if (kept.status !== 200) return [`own file: ${outcomeOf(kept)}`];
    const { sound } = json<Run>(kept).output;
    const infer = async (secret: string) => {
      const inputs = [{ name: 'sound', datatype: 'BYTES', shape: [1], data: [sound.uri] }];
      return outcomeOf(
        await exchange({ port, path: '/v2/models/keep/infer', secret, body: JSON.stringify({ inputs }), ...POST }),
      );
    };
    return [
      `own file: ${await infer(secrets.bystander)}`,
      `KServe: ${await infer(secrets.attacker)}`,
      `input: ${outcomeOf(await run(secrets.attacker, sound))}`,
    ];
  },
};
