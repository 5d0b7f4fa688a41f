// Waits for a response that another process has begun: node fetch-response.mjs URL ID. Prints its text.
import OpenAI from 'openai';

const [, , url, id] = process.argv;
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none' });
for (;;) {
  const { status, output_text } = await client.responses.retrieve(id);
  if (status !== 'queued' && status !== 'in_progress') {
    process.stdout.write(output_text);
    process.exit(0);
  }
  await new Promise((resolve) => setTimeout(resolve, 100));
}
