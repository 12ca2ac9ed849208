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
  { name: 'users', text: ['email', 'nickname', 'role', 'country'], number: ['id', 'age', 'score'] },
  {
    name: 'customers',
    text: ['name', 'email', 'city', 'phone'],
    number: ['id', 'balance', 'discount'],
  },
  {
    name: 'orders',
    text: ['status', 'currency', 'address'],
    number: ['id', 'total', 'quantity'],
    links: { customer_id: 'customers' },
  },
  {
    name: 'invoices',
    text: ['status', 'due_date', 'notes'],
    number: ['id', 'amount', 'tax'],
    links: { order_id: 'orders' },
  },
  {
    name: 'products',
    text: ['title', 'brand', 'color', 'category'],
    number: ['id', 'price', 'stock'],
  },
  {
    name: 'reviews',
    text: ['author', 'comment', 'language'],
    number: ['id', 'rating', 'likes'],
    links: { product_id: 'products' },
  },
  {
    name: 'employees',
    text: ['name', 'title', 'team', 'office'],
    number: ['id', 'salary', 'level'],
    links: { department_id: 'departments' },
  },
  { name: 'departments', text: ['name', 'manager', 'floor'], number: ['id', 'budget'] },
  {
    name: 'students',
    text: ['name', 'major', 'gender', 'city'],
    number: ['id', 'grade', 'credits'],
    links: { school_id: 'schools' },
  },
  { name: 'schools', text: ['name', 'district', 'type'], number: ['id', 'capacity', 'founded'] },
  {
    name: 'courses',
    text: ['title', 'teacher', 'semester', 'language'],
    number: ['id', 'credits', 'seats'],
  },
  {
    name: 'exams',
    text: ['subject', 'exam_date', 'room'],
    number: ['id', 'points', 'duration'],
    links: { student_id: 'students' },
  },
  { name: 'authors', text: ['name', 'country', 'biography'], number: ['id', 'birth_year'] },
  {
    name: 'novels',
    text: ['title', 'genre', 'publisher', 'isbn'],
    number: ['id', 'pages', 'year'],
    links: { author_id: 'authors' },
  },
  {
    name: 'loans',
    text: ['reader', 'due_date', 'branch'],
    number: ['id', 'days', 'fine'],
    links: { novel_id: 'novels' },
  },
  {
    name: 'movies',
    text: ['title', 'director', 'genre', 'studio'],
    number: ['id', 'year', 'votes'],
  },
  { name: 'songs', text: ['title', 'artist', 'album', 'genre'], number: ['id', 'length', 'plays'] },
  { name: 'trips', text: ['origin', 'destination', 'carrier'], number: ['id', 'fare', 'distance'] },
  {
    name: 'tickets',
    text: ['passenger', 'seat', 'status'],
    number: ['id', 'price', 'weight'],
    links: { trip_id: 'trips' },
  },
  { name: 'hotels', text: ['name', 'city', 'manager', 'phone'], number: ['id', 'stars', 'rooms'] },
  {
    name: 'bookings',
    text: ['guest', 'arrival', 'status'],
    number: ['id', 'nights', 'price'],
    links: { hotel_id: 'hotels' },
  },
  { name: 'devices', text: ['serial', 'model', 'owner', 'location'], number: ['id', 'battery'] },
  {
    name: 'measurements',
    text: ['unit', 'recorded_at', 'station'],
    number: ['id', 'temperature', 'humidity', 'pressure'],
    links: { device_id: 'devices' },
  },
  {
    name: 'accounts',
    text: ['owner', 'iban', 'bank', 'currency'],
    number: ['id', 'balance', 'rate'],
  },
  {
    name: 'payments',
    text: ['receiver', 'purpose', 'method'],
    number: ['id', 'amount', 'fee'],
    links: { account_id: 'accounts' },
  },
  {
    name: 'patients',
    text: ['name', 'doctor', 'ward', 'diagnosis'],
    number: ['id', 'age', 'weight'],
  },
  { name: 'messages', text: ['sender', 'receiver', 'topic', 'body'], number: ['id', 'size'] },
  {
    name: 'events',
    text: ['title', 'place', 'host', 'event_date'],
    number: ['id', 'guests', 'price'],
  },
  { name: 'recipes', text: ['title', 'cuisine', 'author'], number: ['id', 'minutes', 'calories'] },
  {
    name: 'vehicles',
    text: ['plate', 'brand', 'color', 'fuel'],
    number: ['id', 'mileage', 'year'],
  },
];

/** All columns of a table, those that link to others last. */
export function columnsOf({ text, number, links = {} }: Table): string[] {
  return [...number.slice(0, 1), ...text, ...number.slice(1), ...Object.keys(links)];
}
