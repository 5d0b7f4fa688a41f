/** Words of texts whose answer changes by itself: asked again an hour later, they ask for something else. */
const CHANGING = new RegExp(
  `(?<![\\p{L}\\p{N}_])(?:${[
    'today|tonight|tomorrow|yesterday|now|currently|current|latest|newest|recent|recently|right now|at the moment|so far|still|yet',
    'this (?:morning|afternoon|evening|week|weekend|month|quarter|year|season)|(?:last|next) (?:night|week|weekend|month|quarter|year|season)',
    'in \\d+ (?:minutes?|hours?|days?|weeks?|months?)|\\d+ (?:minutes?|hours?|days?|weeks?|months?|years?) ago|ago',
    'weather|forecast|temperature outside|stock price|share price|exchange rate|price of (?:gold|oil|bitcoin|silver)|bitcoin price|traffic|score of|what time is it|what date|what day is',
    'heute|morgen|gestern|jetzt|aktuell|aktuelle[nrs]?|derzeit|neueste[nrs]?|wetter|hoy|mañana|ayer|ahora|actual|actualmente|tiempo hace|clima',
    "aujourd'hui|aujourd’hui|demain|hier|maintenant|actuel(?:le)?|actuellement|météo",
  ].join(
    '|',
  )})(?![\\p{L}\\p{N}_])|今日|明日|昨日|今天|明天|昨天|现在|現在|今週|最新|天気|天气|اليوم|غدا|غدًا|أمس|الآن|الطقس`,
  'iu',
);

/** Whether the answer to a text depends on when it is asked. A list of words: it knows the usual ones, not all. */
export const isTimely = (text: string): boolean => CHANGING.test(text);
