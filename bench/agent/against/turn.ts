/** The turn that every side makes: the model calls the tool, then answers. `openai_agents_side.py` has the same. */
export const QUESTION = 'What is the weather in Oslo?';
export const INSTRUCTIONS = 'Answer with the help of the tools.';
export const TOOL = 'get_weather';
export const ANSWER = 'It is 21 degrees in Oslo, and the sky is clear.';

/** Of each of the two model calls. */
export const LATENCY_MS = 100;
export const MODEL_CALLS = 2;
