/** A table of the made-up databases that the examples are about. */
export interface Table {
  name: string;
  /** Columns that are compared by `=` only. */
  text: readonly string[];
  /** Columns that are also ordered, added up and compared by size. */
  number: readonly string[];
  /** Columns that hold another table's `id`, by that table's name. */
  links?: Readonly<Record<string, string>>;
}

export const tables: readonly Table[] = [
  { name: 'users', text: ['name', 'email', 'country', 'role'], number: ['id', 'age', 'score'] },
  { name: 'customers', text: ['name', 'email', 'city', 'phone'], number: ['id', 'balance'] },
  {
    name: 'orders',
    text: ['status', 'address', 'currency'],
    number: ['id', 'total', 'quantity'],
    links: { customer_id: 'customers' },
  },
  {
    name: 'products',
    text: ['title', 'brand', 'color', 'category'],
    number: ['id', 'price', 'stock'],
  },
  {
    name: 'reviews',
    text: ['author', 'comment', 'language'],
    number: ['id', 'rating'],
    links: { product_id: 'products' },
  },
  { name: 'departments', text: ['name', 'manager', 'city'], number: ['id', 'budget'] },
  {
    name: 'employees',
    text: ['name', 'title', 'team', 'phone'],
    number: ['id', 'salary', 'age'],
    links: { department_id: 'departments' },
  },
  { name: 'students', text: ['name', 'email', 'school', 'city'], number: ['id', 'grade', 'age'] },
  {
    name: 'exams',
    text: ['subject', 'room', 'status'],
    number: ['id', 'points', 'year'],
    links: { student_id: 'students' },
  },
  { name: 'books', text: ['title', 'author', 'genre', 'isbn'], number: ['id', 'pages', 'year'] },
  {
    name: 'loans',
    text: ['reader', 'status', 'city'],
    number: ['id', 'days', 'fee'],
    links: { book_id: 'books' },
  },
  {
    name: 'movies',
    text: ['title', 'director', 'genre', 'language'],
    number: ['id', 'rating', 'year'],
  },
  {
    name: 'songs',
    text: ['title', 'artist', 'genre', 'album'],
    number: ['id', 'length', 'rating'],
  },
  {
    name: 'trips',
    text: ['origin', 'destination', 'carrier'],
    number: ['id', 'price', 'distance'],
  },
  {
    name: 'tickets',
    text: ['passenger', 'seat', 'status'],
    number: ['id', 'price', 'weight'],
    links: { trip_id: 'trips' },
  },
  {
    name: 'hotels',
    text: ['name', 'city', 'country', 'manager'],
    number: ['id', 'stars', 'price'],
  },
  { name: 'devices', text: ['model', 'owner', 'location', 'status'], number: ['id', 'weight'] },
  { name: 'accounts', text: ['owner', 'bank', 'currency'], number: ['id', 'balance', 'fee'] },
  {
    name: 'payments',
    text: ['receiver', 'purpose', 'status'],
    number: ['id', 'total', 'year'],
    links: { account_id: 'accounts' },
  },
  { name: 'messages', text: ['author', 'receiver', 'subject'], number: ['id', 'length'] },
];

/** All columns of a table, those that link to others last. */
export function columnsOf({ text, number, links = {} }: Table): string[] {
  return [...number.slice(0, 1), ...text, ...number.slice(1), ...Object.keys(links)];
}
