/** Two questions, for the semantic cache's guards and its hit rate. */
export type QuestionPair = readonly [string, string];

/** Close in wording, different in answer: none of them may ever share one. The guards were written with these in view. */
export const NEAR_MISSES: readonly QuestionPair[] = [
  // geography
  ['What is the capital of France?', 'What is the capital of Spain?'],
  ['What is the largest city in Brazil?', 'What is the second largest city in Brazil?'],
  ['Which river flows through London?', 'Which river flows through Lyon?'],
  ['What is the population of North Korea?', 'What is the population of South Korea?'],
  ['Is Norway bigger than Sweden?', 'Is Sweden bigger than Norway?'],
  // medicine
  ['Is it safe to take ibuprofen with alcohol?', 'Is it not safe to take ibuprofen with alcohol?'],
  ['Can I take aspirin before surgery?', 'Can I take aspirin after surgery?'],
  ['What are the symptoms of low blood sugar?', 'What are the symptoms of high blood sugar?'],
  ['How much paracetamol can a child take?', 'How much paracetamol can an adult take?'],
  ['Is this drug safe for cats?', 'Is this drug unsafe for cats?'],
  // money
  ['How many euros is 50 dollars?', 'How many euros is 15 dollars?'],
  ['Convert dollars to yen.', 'Convert yen to dollars.'],
  ['Should I buy gold now?', 'Should I sell gold now?'],
  ['What is the minimum wage in Ireland?', 'What is the maximum wage in Ireland?'],
  ['What was the inflation rate in 2023?', 'What was the inflation rate in 2024?'],
  // cooking
  ['How long should I boil an egg?', 'How long should I fry an egg?'],
  ['Can I bake bread without yeast?', 'Can I bake bread with yeast?'],
  ['How many grams are in a cup of flour?', 'How many ounces are in a cup of flour?'],
  ['Set the oven to 180 degrees Celsius.', 'Set the oven to 180 degrees Fahrenheit.'],
  // travel
  ['How do I get from Paris to Rome by train?', 'How do I get from Rome to Paris by train?'],
  ['When does the first train to Leeds leave?', 'When does the last train to Leeds leave?'],
  ['Do I need a visa for China?', 'Do I need a vaccine for China?'],
  // sport
  ['Who won the World Cup in 1998?', 'Who won the World Cup in 2002?'],
  ['Who won the match yesterday?', 'Who won the match today?'],
  ['Who did Brazil beat in the final?', 'Who beat Brazil in the final?'],
  // devices
  ['How do I turn on airplane mode?', 'How do I turn off airplane mode?'],
  ['How do I reset my iPhone 12?', 'How do I reset my iPhone 13?'],
  ['Open the garage door.', 'Close the garage door.'],
  // dates and people
  ['When was Mozart born?', 'Where was Mozart born?'],
  ['How old is the Eiffel Tower?', 'How tall is the Eiffel Tower?'],
  ['Who was the first person on the moon?', 'Who was the third person on the moon?'],
  ['Who is the president of Mexico?', 'Who was the president of Mexico?'],
];

/** Different in wording, the same in answer. */
export const PARAPHRASES: readonly QuestionPair[] = [
  // geography
  ['What is the capital of France?', 'Which city is the capital of France?'],
  ['What is the capital of France?', 'Tell me the capital of France.'],
  ["What's the capital of Australia?", "Can you tell me Australia's capital city?"],
  ['What is the tallest mountain in the world?', "What's the world's tallest mountain?"],
  ['How many people live in Japan?', 'What is the population of Japan?'],
  ['What is the longest river in Africa?', 'Name the longest river in Africa, please.'],
  // medicine
  ['What are the symptoms of flu?', 'What are the signs of flu?'],
  ['Is it safe to take ibuprofen with alcohol?', 'Is taking ibuprofen with alcohol safe?'],
  ['How do I treat a burn?', "What's the best way to treat a burn?"],
  ['What causes migraines?', 'What is the cause of a migraine?'],
  // money
  ['What is the price of gold?', 'How much does gold cost?'],
  ['How do I open a bank account?', 'How can I open a bank account?'],
  ['What is inflation?', 'Can you explain what inflation is?'],
  ['How do I save money on groceries?', 'What is a good way to save money on groceries?'],
  // cooking
  ['How long do I boil an egg?', 'How long should I boil an egg?'],
  ['How do you cook rice?', "What's the way to cook rice?"],
  ['What can I use instead of butter?', 'What is a substitute for butter?'],
  ['How many calories are in a banana?', 'How many calories does a banana have?'],
  // travel
  ['What time is it in Tokyo?', 'Tell me what time it is in Tokyo.'],
  ['Do I need a visa for China?', 'Is a visa required for China?'],
  ['How far is it from Paris to Rome?', 'What is the distance from Paris to Rome?'],
  ['When does the last train to Leeds leave?', 'At what time does the last train to Leeds leave?'],
  // sport
  ['Who won the World Cup in 1998?', 'Which team won the 1998 World Cup?'],
  ['How many players are on a football team?', 'How many players does a football team have?'],
  // devices
  ['How do I reset my phone?', 'How can I reset my phone?'],
  ['How do I turn off notifications?', 'How do I switch notifications off?'],
  ['Turn on the lights.', 'Please turn the lights on.'],
  // dates and people
  ['Who wrote Hamlet?', 'Who is the author of Hamlet?'],
  ['When was Mozart born?', "What is Mozart's date of birth?"],
  ['How tall is the Eiffel Tower?', 'What is the height of the Eiffel Tower?'],
  ['When did the Titanic sink?', 'In what year did the Titanic sink?'],
];

/**
 * Held out: written before the guards and looked at only when they were done. Their figures are the honest ones.
 */
export const HELD_OUT_NEAR_MISSES: readonly QuestionPair[] = [
  ['What language do people speak in Austria?', 'What language do people speak in Australia?'],
  ['What is the highest mountain in Europe?', 'What is the highest mountain in North America?'],
  ['Which countries border Germany?', 'Which countries do not border Germany?'],
  ['What is the smallest country in the world?', 'What is the largest country in the world?'],
  ['Which city hosted the 2012 Olympics?', 'Which country hosted the 2012 Olympics?'],
  ['What is the normal heart rate for an adult?', 'What is the normal heart rate for a baby?'],
  ['Can you take vitamin C with antibiotics?', 'Can you take vitamin D with antibiotics?'],
  ['What are the side effects of metformin?', 'What are the side effects of metoprolol?'],
  ['Should I see a doctor for chest pain?', "Shouldn't I see a doctor for chest pain?"],
  ['How many hours of sleep do I need?', 'How many hours of sleep does a teenager need?'],
  ['How do I lower my cholesterol?', 'How do I raise my cholesterol?'],
  ['How many pounds is 10 kilograms?', 'How many kilograms is 10 pounds?'],
  ['What is 15 percent of 80?', 'What is 50 percent of 80?'],
  ['How do I cancel a transfer?', 'How do I make a transfer?'],
  ['What is the interest rate on a savings account?', 'What is the interest rate on a checking account?'],
  ['What happens if I pay my taxes late?', 'What happens if I pay my taxes early?'],
  ['How long can cooked rice stay in the fridge?', 'How long can cooked rice stay in the freezer?'],
  ['Is coconut oil vegan?', 'Is coconut oil gluten free?'],
  ['How much sugar is in a can of cola?', 'How much sugar is in a can of diet cola?'],
  ['What can I cook with chicken and rice?', 'What can I cook with chicken but no rice?'],
  ['When is the next flight to Berlin?', 'When is the next flight from Berlin?'],
  ['Is breakfast included in the price?', 'Is parking included in the price?'],
  ['What is the weather in Rome today?', 'What is the weather in Rome tomorrow?'],
  ['Can I bring liquids in hand luggage?', 'Can I bring liquids in checked luggage?'],
  ['Who is the fastest runner in the world?', 'Who is the fastest swimmer in the world?'],
  ["Who won the men's final at Wimbledon?", "Who won the women's final at Wimbledon?"],
  ['How do I mute the microphone?', 'How do I unmute the microphone?'],
  ['How do I connect my laptop to the TV?', 'How do I connect my phone to the TV?'],
  ['Wake me up at six thirty.', 'Wake me up at seven thirty.'],
  ['Who was king before Henry VIII?', 'Who was king after Henry VIII?'],
  ['When did World War I end?', 'When did World War II end?'],
  ['Who killed Hamlet?', 'Who did Hamlet kill?'],
  ['How old are you?', 'How old am I?'],
];

export const HELD_OUT_PARAPHRASES: readonly QuestionPair[] = [
  ['What is the capital of Canada?', "What's Canada's capital?"],
  ['Where is Machu Picchu?', 'Where is Machu Picchu located?'],
  ['What is the largest ocean?', 'Which ocean is the largest?'],
  ['How big is Texas?', 'What is the size of Texas?'],
  ['What language is spoken in Brazil?', 'What language do they speak in Brazil?'],
  ['What is the currency of Japan?', 'Which currency is used in Japan?'],
  ['How do I get rid of a headache?', 'How can I get rid of a headache?'],
  ['What foods are high in iron?', 'Which foods are high in iron?'],
  ['What is a normal blood pressure?', "What's normal blood pressure?"],
  ['Is coffee bad for you?', 'Is coffee unhealthy?'],
  ['How much water should I drink a day?', 'How much water should I drink each day?'],
  ['What is compound interest?', 'Could you please explain compound interest?'],
  ['How do I cancel my subscription?', "What's the best way to cancel my subscription?"],
  ['How much does a passport cost?', 'What does a passport cost?'],
  ['Who invented the telephone?', 'Who was the inventor of the telephone?'],
  ['How do I make pancakes?', 'How to make pancakes'],
  ['How long does it take to roast a chicken?', 'How long do you roast a chicken?'],
  ['Can I freeze cooked pasta?', 'Is it possible to freeze cooked pasta?'],
  ['What is the weather in Rome today?', "How's the weather in Rome today?"],
  ['What is the best time to visit Iceland?', 'When is the best time to visit Iceland?'],
  ['How long is the flight from London to New York?', 'How long does it take to fly from London to New York?'],
  ['What should I see in Lisbon?', 'What are the top sights in Lisbon?'],
  ['How many players are in a basketball team?', 'How many players are there on a basketball team?'],
  ['Who holds the record for most Olympic medals?', 'Who has won the most Olympic medals?'],
  ['How do I take a screenshot?', 'Tell me how to take a screenshot.'],
  ["Why won't my phone charge?", 'Why is my phone not charging?'],
  ['How do I delete my browsing history?', 'How do I clear my browsing history?'],
  ['Set a timer for ten minutes.', 'Please set a timer for 10 minutes.'],
  ['When was the Berlin Wall built?', 'What year was the Berlin Wall built?'],
  ['Who painted the Mona Lisa?', 'The Mona Lisa was painted by whom?'],
  ['How old was Einstein when he died?', 'At what age did Einstein die?'],
  ['What does DNA stand for?', 'What is DNA short for?'],
];
