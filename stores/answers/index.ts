export { type Answer, Answers, publishAnswer } from './answers.js';
export { RedisSentResults, type SentResults } from './sent-results.js';
