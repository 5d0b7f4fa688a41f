/** Hosts of OpenAI's API at OpenAI, whose regions are below it (`eu.api.openai.com`). */
const OPENAI = 'api.openai.com';
/** Ends of all hosts at Azure: of the public cloud, and of the one of the US government. */
const OF_AZURE: readonly string[] = ['.azure.com', '.azure.us'];
/** What stands before these where Azure serves OpenAI's models by OpenAI's API. */
const OPENAI_AT_AZURE: readonly string[] = ['.openai', '.services.ai', '.cognitiveservices'];
const OF_OPENAI = [`.${OPENAI}`, ...OF_AZURE.flatMap((end) => OPENAI_AT_AZURE.map((name) => `${name}${end}`))];

interface At {
  readonly baseURL: string;
}

const endsIn = ({ baseURL }: At, ends: readonly string[]): boolean => {
  const { hostname } = new URL(baseURL);
  return ends.some((end) => hostname.endsWith(end));
};

/** Whether a server is at Azure, whatever it serves. */
export const isAtAzure = (server: At): boolean => endsIn(server, OF_AZURE);

/** Whether a server is OpenAI's API, at OpenAI or at Azure. */
export const isOpenAi = (server: At): boolean =>
  new URL(server.baseURL).hostname === OPENAI || endsIn(server, OF_OPENAI);
