/*
 * tokenizer_golden.h: small tokenizers of every kind, and the tokens that the package `tokenizers` (0.23.3) gives for
 * one text; written with tests/parity/generated.py. Constant data.
 */
#ifndef HT_TEST_TOKENIZER_GOLDEN_H
#define HT_TEST_TOKENIZER_GOLDEN_H

#include <stddef.h>
#include <stdint.h>

/* clang-format off */
static const char golden_text[] =
     " The owl's night,  42 \xc3\xbc""ber Stra\xc3\x9f""e \xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x98\x80 camelCase er"
     "ror!!! FOO_bar <mask> x";

typedef struct golden {
    const char *name, *json;
    size_t count;
    uint32_t ids[64];
} golden;

static const golden goldens[] = {
    {"unigram-multilingual",
     "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\"added_tokens\":[{\"id\":0,\"content\":\"<s>\","
     "\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,\"special\":true},{\"id\""
     ":1,\"content\":\"<pad>\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,"
     "\"special\":true},{\"id\":2,\"content\":\"</s>\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false"
     ",\"normalized\":false,\"special\":true},{\"id\":3,\"content\":\"<unk>\",\"single_word\":false,\"lstrip\""
     ":false,\"rstrip\":false,\"normalized\":false,\"special\":true},{\"id\":46,\"content\":\"<mask>\",\"sing"
     "le_word\":false,\"lstrip\":true,\"rstrip\":false,\"normalized\":false,\"special\":true}],\"normalize"
     "r\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Nmt\"},{\"type\":\"NFKC\"},{\"type\":\"Replace\",\""
     "pattern\":{\"Regex\":\" {2,}\"},\"content\":\" \"},{\"type\":\"Strip\",\"strip_left\":true,\"strip_right\":"
     "true}]},\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"\xe2\x96\x81\",\"prepend_scheme\":\"fi"
     "rst\",\"split\":true},\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\""
     ":{\"id\":\"<s>\",\"type_id\":0}},{\"Sequence\":{\"id\":\"A\",\"type_id\":0}},{\"SpecialToken\":{\"id\":\"<"
     "/s>\",\"type_id\":0}}],\"pair\":[{\"SpecialToken\":{\"id\":\"<s>\",\"type_id\":0}},{\"Sequence\":{\"id\":\"A"
     "\",\"type_id\":0}},{\"SpecialToken\":{\"id\":\"</s>\",\"type_id\":0}},{\"SpecialToken\":{\"id\":\"</s>\",\"t"
     "ype_id\":0}},{\"Sequence\":{\"id\":\"B\",\"type_id\":0}},{\"SpecialToken\":{\"id\":\"</s>\",\"type_id\":0}}"
     "],\"special_tokens\":{\"</s>\":{\"id\":\"</s>\",\"ids\":[2],\"tokens\":[\"</s>\"]},\"<s>\":{\"id\":\"<s>\","
     "\"ids\":[0],\"tokens\":[\"<s>\"]}}},\"decoder\":null,\"model\":{\"type\":\"Unigram\",\"unk_id\":3,\"vocab\":"
     "[[\"<s>\",0.0],[\"<pad>\",0.0],[\"</s>\",0.0],[\"<unk>\",0.0],[\"\xe2\x96\x81\",-1.5755451532508964],[\"e\","
     "-2.456420947044119],[\"t\",-2.6277816477524967],[\"r\",-2.9150939661451813],[\"a\",-2.9583756121"
     "257077],[\"h\",-3.061085512468277],[\"n\",-3.3264277725709004],[\"s\",-3.3518527187336327],[\"80\""
     ",-3.5779980155021844],[\"i\",-3.6155032348535583],[\"b\",-3.6381028262733732],[\"w\",-3.72148344"
     "76454453],[\"d\",-3.85412596895289],[\"or\",-4.087710241001463],[\"\xc3\xbc\",-4.187757388261536],[\"k\""
     ",-4.270275480604857],[\"'\",-4.270275480604857],[\"o\",-4.277049252230735],[\"g\",-4.29201461103"
     "964],[\"m\",-4.336964105989131],[\"c\",-4.336964105989135],[\";\",-4.336964105989135],[\"u\",-4.43"
     "3419687654586],[\"S\",-4.459060713295612],[\"\xc3\x9f\",-4.459060713295612],[\",\",-4.512403529796323]"
     ",[\"p\",-4.59816450085141],[\"l\",-4.598164500851412],[\"y\",-4.659717531154442],[\"\xe6\x9c\xac\",-4.65971"
     "7531154442],[\"\xe6\x97\xa5\",-4.659717531154442],[\"\xf0\x9f\x98\x80\",-4.691975595670571],[\"4\",-4.725308"
     "929003904],[\"2\",-4.725308929003904],[\"er\",-4.763985307537903],[\"at\",-4.903620478711961],[\""
     "ea\",-5.205402558718891],[\"\xe2\x96\x81h\",-5.265482377188343],[\"\xe2\x96\x81""e\",-6.14464599294008],[\""
     "\xe2\x96\x81""a\",-6.422018044189201],[\"8\",-9.72704800194216],[\"0\",-9.727048001942162]],\"byte_fallback"
     "\":false}}",
     59,
     {0, 3, 9, 5, 4, 21, 15, 31, 20, 11, 4, 10, 13, 22, 9, 6, 29, 4, 36, 37, 4, 18, 14, 38, 4, 27, 6, 7, 8, 28, 5, 4,
      34, 33, 4, 35, 4, 24, 8, 23, 5, 31, 3, 8, 11, 5, 4, 38, 7, 17, 3, 4, 3, 14, 8, 7, 46, 3, 2}},
    {"unigram-words",
     "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\"added_tokens\":[{\"id\":0,\"content\":\"<unk>"
     "\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,\"special\":true},{\"i"
     "d\":1,\"content\":\"[CLS]\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":fals"
     "e,\"special\":true},{\"id\":2,\"content\":\"[SEP]\",\"single_word\":false,\"lstrip\":false,\"rstrip\":fa"
     "lse,\"normalized\":false,\"special\":true},{\"id\":42,\"content\":\"camelCase\",\"single_word\":true,\""
     "lstrip\":false,\"rstrip\":false,\"normalized\":true,\"special\":false},{\"id\":43,\"content\":\"Don't\""
     ",\"single_word\":false,\"lstrip\":true,\"rstrip\":true,\"normalized\":true,\"special\":false}],\"norm"
     "alizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Replace\",\"pattern\":{\"String\":\"``\"},\"con"
     "tent\":\"\\\"\"},{\"type\":\"NFKD\"},{\"type\":\"StripAccents\"},{\"type\":\"Lowercase\"}]},\"pre_tokeniz"
     "er\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"WhitespaceSplit\"},{\"type\":\"Digits\",\"indiv"
     "idual_digits\":true},{\"type\":\"Metaspace\",\"replacement\":\"\xe2\x96\x81\",\"prepend_scheme\":\"always"
     "\",\"split\":true}]},\"post_processor\":{\"type\":\"BertProcessing\",\"sep\":[\"[SEP]\",2],\"cls\":[\"[CLS"
     "]\",1]},\"decoder\":null,\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"<unk>\",0.0],[\"[CLS]\""
     ",0.0],[\"[SEP]\",0.0],[\"\xe2\x96\x81\",-1.421343254900771],[\"e\",-2.5391809964527274],[\"t\",-2.711606888"
     "823023],[\"r\",-3.0118300646688807],[\"a\",-3.0430735149262587],[\"h\",-3.1115710239211216],[\"s\""
     ",-3.139965497975914],[\"n\",-3.403293663633594],[\"8\",-3.6486467504266953],[\"0\",-3.6486467504"
     "266953],[\"u\",-3.681258014805141],[\"i\",-3.69236912591625],[\"b\",-3.714968717336067],[\"w\",-3."
     "798349338708139],[\"d\",-3.9309918600155838],[\"or\",-4.145228202877833],[\"'\",-4.3471413716675"
     "51],[\"k\",-4.347141371667551],[\"g\",-4.368880502102334],[\"o\",-4.377806795719751],[\"c\",-4.413"
     "829997051825],[\"m\",-4.413829997051825],[\";\",-4.413829997051828],[\"\xc3\x9f\",-4.5359266043583055]"
     ",[\",\",-4.589269420859017],[\"p\",-4.675030391914103],[\"l\",-4.675030391914105],[\"\xe6\x97\xa5\",-4.7365"
     "834222171355],[\"\xe6\x9c\xac\",-4.7365834222171355],[\"y\",-4.7365834222171355],[\"er\",-4.7578329116756"
     "84],[\"\xf0\x9f\x98\x80\",-4.7688414867332645],[\"2\",-4.802174820066598],[\"4\",-4.802174820066598],[\"at"
     "\",-4.91515069189796],[\"ea\",-5.212188511178742],[\"\xe2\x96\x81h\",-5.61977631170053],[\"\xe2\x96\x81""e\""
     ",-6.570757490248958],[\"\xe2\x96\x81""a\",-6.860689189250091]],\"byte_fallback\":false}}",
     62,
     {1, 3, 5, 8, 4, 3, 22, 16, 29, 19, 9, 3, 10, 14, 21, 8, 5, 27, 3, 36, 3, 35, 3, 13, 15, 33, 3, 9, 5, 6, 7, 26,
      4, 3, 30, 31, 3, 34, 42, 3, 33, 6, 18, 0, 3, 0, 22, 22, 0, 15, 7, 6, 3, 0, 24, 7, 9, 20, 0, 3, 0, 2}},
    {"unigram-pieces",
     "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\"added_tokens\":[{\"id\":0,\"content\":\"<unk>"
     "\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,\"special\":true}],\"n"
     "ormalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"BertNormalizer\",\"clean_text\":true,\"h"
     "andle_chinese_chars\":true,\"strip_accents\":false,\"lowercase\":true},{\"type\":\"ByteLevel\"}]},\""
     "pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{\"Regex\":\"\\\\d"
     "+\?|\xc4\xa0+\"},\"behavior\":\"MergedWithPrevious\",\"invert\":false},{\"type\":\"Split\",\"pattern\":{\"St"
     "ring\":\"e\"},\"behavior\":\"MergedWithNext\",\"invert\":false},{\"type\":\"Split\",\"pattern\":{\"Regex\":"
     "\"[^(aeiou|[.,!])]+\"},\"behavior\":\"Removed\",\"invert\":true},{\"type\":\"Punctuation\",\"behavior\":"
     "\"MergedWithPrevious\"}]},\"post_processor\":null,\"decoder\":null,\"model\":{\"type\":\"Unigram\",\"un"
     "k_id\":0,\"vocab\":[[\"<unk>\",0.0],[\"\xc4\xa0\",-1.5854505383865716],[\"r\",-2.325939469440465],[\"h\",-2"
     ".9267384878116705],[\"t\",-2.9954972394068866],[\"8\",-3.2368947335193665],[\"0\",-3.23689473351"
     "93665],[\"\xc3\x83\",-3.280617109008923],[\"b\",-3.303216700428738],[\"s\",-3.453182432796063],[\"\xc2\xbc"
     "\",-3.8528712624169015],[\"n\",-3.9330767613056685],[\"w\",-3.9352997203291786],[\"'\",-3.9353893"
     "54760222],[\"k\",-3.935389354760222],[\"m\",-4.0020779801445],[\";\",-4.0020779801445],[\"c\",-4.0"
     "020779801445],[\"ght\xc4\xa0\",-4.067810376981129],[\"\xc5\x81\",-4.124174587450977],[\"d\",-4.1625073206015"
     "86],[\"p\",-4.263278375006776],[\"nts\xc4\xa0\",-4.301166177899717],[\"\xc2\xa5\",-4.324831405309807],"
     "[\"\xc4\xb9\",-4.324831405309807],[\"\xc3\xa6\",-4.324831405309807],[\"y\",-4.324831405309807],[\"wl"
     "\xc4\xa0\",-4.348422968692294],[\"2\",-4.390422803159269],[\"4\",-4.390422803159269],[\"nd\xc4\xa0\",-4.43"
     "1831723904724],[\"\xc3\xa6\xc4\xbe\xc2\xac\xc4\xa0\xc4\xa0\",-4.46628819193123],[\"\xc3\xb0\xc5\x81"
     "\xc4\xba\xc4\xa2\xc4\xa0\",-4.546912847526346],[\"rt\xc4\xa0\",-4.557367171282228],[\"ts\xc4\xa0\",-4.77924"
     "3841250762],[\"s\xc4\xa0\",-5.1122690972144325],[\"t\xc4\xa0\",-5.730260871812194],[\"nts\",-5.9501190350516"
     "73],[\"r\xc4\xa0\",-6.051393244520934],[\"ts\",-6.181746510756584],[\"\xc3\xb0\xc5\x81\xc4\xba\xc4\xa2\",-6."
     "209901007464683],[\"ght\",-6.321662837258023],[\"nd\",-6.351718038144248],[\"\xc3\xa6\xc4\xbe\xc2\xac"
     "\xc4\xa0\",-6.475561304165415],[\"wl\",-6.964603218742334],[\"\xc4\xa0\xc4\xa0\",-7.022990457234039],[\"g"
     "\",-7.802740762897478],[\"\xc3\xb0\",-7.802840762897478],[\"\xc4\xba\",-7.802940762897478],[\"\xc2\xac\",-"
     "7.803040762897478],[\"l\",-7.803140762897478],[\"\xc4\xa2\",-7.803240762897478],[\"\xc4\xbe\",-7.80334076289"
     "7478],[\"rt\",-7.803340762897478]],\"byte_fallback\":false}}",
     56,
     {1, 4, 3, 1, 44, 13, 9, 1, 11, 41, 1, 1, 29, 28, 1, 7, 10, 8, 2, 1, 9, 4, 2, 7, 19, 1, 1, 25, 24, 23, 1, 1, 31,
      32, 17, 15, 50, 17, 9, 1, 2, 2, 2, 1, 0, 0, 8, 2, 1, 0, 15, 9, 14, 0, 1, 0}},
    {"bpe-roberta",
     "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\"added_tokens\":[{\"id\":0,\"content\":\"<s>\","
     "\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,\"special\":true},{\"id\""
     ":1,\"content\":\"<pad>\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,"
     "\"special\":true},{\"id\":2,\"content\":\"</s>\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false"
     ",\"normalized\":false,\"special\":true},{\"id\":3,\"content\":\"<unk>\",\"single_word\":false,\"lstrip\""
     ":false,\"rstrip\":false,\"normalized\":false,\"special\":true},{\"id\":4,\"content\":\"<mask>\",\"singl"
     "e_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,\"special\":true}],\"normalize"
     "r\":{\"type\":\"NFC\"},\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"trim_offset"
     "s\":true,\"use_regex\":true},\"post_processor\":{\"type\":\"RobertaProcessing\",\"sep\":[\"</s>\",2],\"c"
     "ls\":[\"<s>\",0],\"trim_offsets\":true,\"add_prefix_space\":true},\"decoder\":null,\"model\":{\"type\":"
     "\"BPE\",\"dropout\":null,\"unk_token\":null,\"continuing_subword_prefix\":null,\"end_of_word_suffix"
     "\":null,\"fuse_unk\":false,\"byte_fallback\":false,\"ignore_merges\":false,\"vocab\":{\"<s>\":0,\"<pad"
     ">\":1,\"</s>\":2,\"<unk>\":3,\"<mask>\":4,\"'\":5,\",\":6,\"0\":7,\"2\":8,\"4\":9,\"8\":10,\";\":11,\"S\":1"
     "2,\"a\":13,\"b\":14,\"c\":15,\"d\":16,\"e\":17,\"g\":18,\"h\":19,\"i\":20,\"k\":21,\"l\":22,\"m\":23,\"n\":2"
     "4,\"o\":25,\"p\":26,\"r\":27,\"s\":28,\"t\":29,\"u\":30,\"w\":31,\"y\":32,\"\xc2\xa5\":33,\"\xc2\xac\":34,\""
     "\xc2\xbc\":35,\"\xc3\x83\":36,\"\xc3\xa6\":37,\"\xc3\xb0\":38,\"\xc4\xa0\":39,\"\xc4\xa2\":40,\"\xc4\xb9\""
     ":41,\"\xc4\xba\":42,\"\xc4\xbe\":43,\"\xc5\x81\":44,\"\xc4\xa0""e\":45,\"80\":46,\"\xc4\xa0h\":47,\"ts\":4"
     "8,\"\xc4\xa0""a\":49,\"or\":50,\"be\":51,\"\xc2\xbc""be\":52,\"\xc3\x83\xc2\xbc""be\":53,\"\xc4\xa0\xc3\x83"
     "\xc2\xbc""be\":54,\"\xc4\xa0\xc3\x83\xc2\xbc""ber\":55,\"'s\":56,\"aw\":57,\"\xc4\xa0""80\":58,\"\xc4\xa0h"
     "aw\":59,\"\xc4\xa0""8080\":60,\"\xc4\xa0hawk\":61,\"gh\":62,\"igh\":63,\"nigh\":64,\"\xc4\xa0nigh\":65"
     ",\"\xc4\xa0night\":66,\"ce\":67,\"ice\":68,\"mice\":69},\"merges\":[[\"\xc4\xa0\",\"e\"],[\"8\",\"0\"],[\""
     "\xc4\xa0\",\"h\"],[\"t\",\"s\"],[\"\xc4\xa0\",\"a\"],[\"o\",\"r\"],[\"b\",\"e\"],[\"\xc2\xbc\",\"be\"],["
     "\"\xc3\x83\",\"\xc2\xbc""be\"],[\"\xc4\xa0\",\"\xc3\x83\xc2\xbc""be\"],[\"\xc4\xa0\xc3\x83\xc2\xbc""be\",\""
     "r\"],[\"'\",\"s\"],[\"a\",\"w\"],[\"\xc4\xa0\",\"80\"],[\"\xc4\xa0h\",\"aw\"],[\"\xc4\xa0""80\",\"80\"],"
     "[\"\xc4\xa0haw\",\"k\"],[\"g\",\"h\"],[\"i\",\"gh\"],[\"n\",\"igh\"],[\"\xc4\xa0\",\"nigh\"],[\"\xc4\xa0nigh"
     "\",\"t\"],[\"c\",\"e\"],[\"i\",\"ce\"],[\"m\",\"ice\"]]}}",
     56,
     {0, 47, 17, 39, 25, 31, 22, 56, 66, 6, 39, 39, 9, 8, 55, 39, 12, 29, 27, 13, 36, 44, 17, 39, 37, 41, 33, 37, 43,
      34, 39, 38, 44, 42, 40, 39, 15, 13, 23, 17, 22, 13, 28, 17, 45, 27, 27, 50, 39, 14, 13, 27, 39, 4, 39, 2}},
    {"bpe-llama3",
     "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\"added_tokens\":[{\"id\":0,\"content\":\"<|beg"
     "in|>\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,\"special\":true}"
     ",{\"id\":1,\"content\":\"<|end|>\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized"
     "\":false,\"special\":true}],\"normalizer\":null,\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenize"
     "rs\":[{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(\?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p"
     "{N}]\?\\\\p{L}+|\\\\p{N}{1,3}| \?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(\?!\\\\S)"
     "|\\\\s+\"},\"behavior\":\"Isolated\",\"invert\":false},{\"type\":\"ByteLevel\",\"add_prefix_space\":false"
     ",\"trim_offsets\":true,\"use_regex\":false}]},\"post_processor\":{\"type\":\"Sequence\",\"processors\""
     ":[{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"trim_offsets\":false,\"use_regex\":true},{\"typ"
     "e\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"<|begin|>\",\"type_id\":0}},{\"Sequen"
     "ce\":{\"id\":\"A\",\"type_id\":0}}],\"pair\":[{\"Sequence\":{\"id\":\"A\",\"type_id\":0}},{\"Sequence\":{\""
     "id\":\"B\",\"type_id\":0}}],\"special_tokens\":{\"<|begin|>\":{\"id\":\"<|begin|>\",\"ids\":[0],\"tokens\":"
     "[\"<|begin|>\"]}}}]},\"decoder\":null,\"model\":{\"type\":\"BPE\",\"dropout\":null,\"unk_token\":null,\"c"
     "ontinuing_subword_prefix\":null,\"end_of_word_suffix\":null,\"fuse_unk\":false,\"byte_fallback\":"
     "false,\"ignore_merges\":true,\"vocab\":{\"<|begin|>\":0,\"<|end|>\":1,\"'\":2,\",\":3,\"0\":4,\"2\":5,\"4\":"
     "6,\"8\":7,\";\":8,\"S\":9,\"a\":10,\"b\":11,\"c\":12,\"d\":13,\"e\":14,\"g\":15,\"h\":16,\"i\":17,\"k\":1"
     "8,\"l\":19,\"m\":20,\"n\":21,\"o\":22,\"p\":23,\"r\":24,\"s\":25,\"t\":26,\"u\":27,\"w\":28,\"y\":29,\"\xc2"
     "\xa5\":30,\"\xc2\xac\":31,\"\xc2\xbc\":32,\"\xc3\x83\":33,\"\xc3\xa6\":34,\"\xc3\xb0\":35,\"\xc4\xa0\":36,"
     "\"\xc4\xa2\":37,\"\xc4\xb9\":38,\"\xc4\xba\":39,\"\xc4\xbe\":40,\"\xc5\x81\":41,\"er\":42,\"\xc4\xa0h\":43,"
     "\"ts\":44,\"or\":45,\"ea\":46,\"\xc4\xa0""a\":47,\"ber\":48,\"\xc2\xbc""ber\":49,\"\xc3\x83\xc2\xbc""ber\":"
     "50,\"'s\":51,\"08\":52,\"808\":53,\"aw\":54,\"awk\":55,\"gh\":56,\"igh\":57,\"nigh\":58,\"\xc4\xa0"
     "\xc3\x83\xc2\xbc""ber\":59,\"night\":60,\"ce\":61,\"ice\":62,\"mice\":63,\"\xc4\xa0hawk\":64,\"he\":65,\"t"
     "he\":66,\"\xc4\xa0mice\":67,\"nts\":68,\"unts\":69},\"merges\":[[\"e\",\"r\"],[\"\xc4\xa0\",\"h\"],[\"t\","
     "\"s\"],[\"o\",\"r\"],[\"e\",\"a\"],[\"\xc4\xa0\",\"a\"],[\"b\",\"er\"],[\"\xc2\xbc\",\"ber\"],[\"\xc3\x83\","
     "\"\xc2\xbc""ber\"],[\"'\",\"s\"],[\"0\",\"8\"],[\"8\",\"08\"],[\"a\",\"w\"],[\"aw\",\"k\"],[\"g\",\"h\"],["
     "\"i\",\"gh\"],[\"n\",\"igh\"],[\"\xc4\xa0\",\"\xc3\x83\xc2\xbc""ber\"],[\"nigh\",\"t\"],[\"c\",\"e\"],[\"i\""
     ",\"ce\"],[\"m\",\"ice\"],[\"\xc4\xa0h\",\"awk\"],[\"h\",\"e\"],[\"t\",\"he\"],[\"\xc4\xa0\",\"mice\"],[\"n\""
     ",\"ts\"],[\"u\",\"nts\"]]}}",
     59,
     {0, 43, 14, 36, 22, 28, 19, 51, 36, 60, 3, 36, 36, 6, 5, 59, 36, 9, 26, 24, 10, 33, 41, 14, 36, 34, 38, 30, 34,
      40, 31, 36, 35, 41, 39, 37, 36, 12, 10, 20, 14, 19, 10, 25, 14, 36, 42, 24, 45, 36, 11, 10, 24, 36, 20, 10, 25,
      18, 36}},
    {"bpe-o200k",
     "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\"added_tokens\":[{\"id\":0,\"content\":\"<|beg"
     "in|>\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,\"special\":true}"
     ",{\"id\":1,\"content\":\"<|end|>\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized"
     "\":false,\"special\":true}],\"normalizer\":null,\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenize"
     "rs\":[{\"type\":\"Split\",\"pattern\":{\"Regex\":\"[^\\\\r\\\\n\\\\p{L}\\\\p{N}]\?[\\\\p{Lu}\\\\p{Lt}\\\\p"
     "{Lm}\\\\p{Lo}\\\\p{M}]*[\\\\p{Ll}\\\\p{Lm}\\\\p{Lo}\\\\p{M}]+(\?i:'s|'t|'re|'ve|'m|'ll|'d)\?|[^\\\\r\\\\n"
     "\\\\p{L}\\\\p{N}]\?[\\\\p{Lu}\\\\p{Lt}\\\\p{Lm}\\\\p{Lo}\\\\p{M}]+[\\\\p{Ll}\\\\p{Lm}\\\\p{Lo}\\\\p{M}]*(\?i"
     ":'s|'t|'re|'ve|'m|'ll|'d)\?|\\\\p{N}{1,3}| \?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n/]*|\\\\s*[\\\\r\\\\n]+"
     "|\\\\s+(\?!\\\\S)|\\\\s+\"},\"behavior\":\"Isolated\",\"invert\":false},{\"type\":\"ByteLevel\",\"add_pref"
     "ix_space\":false,\"trim_offsets\":true,\"use_regex\":false}]},\"post_processor\":{\"type\":\"Sequenc"
     "e\",\"processors\":[{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"trim_offsets\":false,\"use_reg"
     "ex\":true},{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"<|begin|>\",\"type_i"
     "d\":0}},{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}],\"pair\":[{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}"
     ",{\"Sequence\":{\"id\":\"B\",\"type_id\":0}}],\"special_tokens\":{\"<|begin|>\":{\"id\":\"<|begin|>\",\"ids"
     "\":[0],\"tokens\":[\"<|begin|>\"]}}}]},\"decoder\":null,\"model\":{\"type\":\"BPE\",\"dropout\":null,\"unk"
     "_token\":null,\"continuing_subword_prefix\":null,\"end_of_word_suffix\":null,\"fuse_unk\":false,\""
     "byte_fallback\":false,\"ignore_merges\":true,\"vocab\":{\"<|begin|>\":0,\"<|end|>\":1,\"'\":2,\",\":3,\""
     "0\":4,\"2\":5,\"4\":6,\"8\":7,\";\":8,\"S\":9,\"a\":10,\"b\":11,\"c\":12,\"d\":13,\"e\":14,\"g\":15,\"h\":"
     "16,\"i\":17,\"k\":18,\"l\":19,\"m\":20,\"n\":21,\"o\":22,\"p\":23,\"r\":24,\"s\":25,\"t\":26,\"u\":27,\"w\":"
     "28,\"y\":29,\"\xc2\xa5\":30,\"\xc2\xac\":31,\"\xc2\xbc\":32,\"\xc3\x83\":33,\"\xc3\xa6\":34,\"\xc3\xb0\":35"
     ",\"\xc4\xa0\":36,\"\xc4\xa2\":37,\"\xc4\xb9\":38,\"\xc4\xba\":39,\"\xc4\xbe\":40,\"\xc5\x81\":41,\"er\":42,"
     "\"\xc4\xa0h\":43,\"ts\":44,\"or\":45,\"ea\":46,\"\xc4\xa0""a\":47,\"ber\":48,\"\xc2\xbc""ber\":49,\""
     "\xc3\x83\xc2\xbc""ber\":50,\"'s\":51,\"08\":52,\"808\":53,\"aw\":54,\"k's\":55,\"awk's\":56,\"gh\":57,\"i"
     "gh\":58,\"nigh\":59,\"\xc4\xa0\xc3\x83\xc2\xbc""ber\":60,\"night\":61,\"ce\":62,\"ice\":63,\"mice\":64"
     ",\"\xc4\xa0hawk's\":65,\"he\":66,\"the\":67,\"\xc4\xa0mice\":68,\"nts\":69},\"merges\":[[\"e\",\"r\"],["
     "\"\xc4\xa0\",\"h\"],[\"t\",\"s\"],[\"o\",\"r\"],[\"e\",\"a\"],[\"\xc4\xa0\",\"a\"],[\"b\",\"er\"],["
     "\"\xc2\xbc\",\"ber\"],[\"\xc3\x83\",\"\xc2\xbc""ber\"],[\"'\",\"s\"],[\"0\",\"8\"],[\"8\",\"08\"],[\"a\","
     "\"w\"],[\"k\",\"'s\"],[\"aw\",\"k's\"],[\"g\",\"h\"],[\"i\",\"gh\"],[\"n\",\"igh\"],[\"\xc4\xa0\",\""
     "\xc3\x83\xc2\xbc""ber\"],[\"nigh\",\"t\"],[\"c\",\"e\"],[\"i\",\"ce\"],[\"m\",\"ice\"],[\"\xc4\xa0h\",\"aw"
     "k's\"],[\"h\",\"e\"],[\"t\",\"he\"],[\"\xc4\xa0\",\"mice\"],[\"n\",\"ts\"]]}}",
     59,
     {0, 43, 14, 36, 22, 28, 19, 51, 36, 61, 3, 36, 36, 6, 5, 60, 36, 9, 26, 24, 10, 33, 41, 14, 36, 34, 38, 30, 34,
      40, 31, 36, 35, 41, 39, 37, 36, 12, 10, 20, 14, 19, 10, 25, 14, 36, 42, 24, 45, 36, 11, 10, 24, 36, 20, 10, 25,
      18, 36}},
    {"bpe-suffix",
     "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\"added_tokens\":[{\"id\":0,\"content\":\"<unk>"
     "\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,\"special\":true},{\"i"
     "d\":70,\"content\":\"FOO_bar\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":t"
     "rue,\"special\":false},{\"id\":71,\"content\":\"!!!\",\"single_word\":true,\"lstrip\":false,\"rstrip\":f"
     "alse,\"normalized\":false,\"special\":false}],\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{"
     "\"type\":\"NFD\"},{\"type\":\"Lowercase\"},{\"type\":\"Strip\",\"strip_left\":true,\"strip_right\":false}]"
     "},\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Whitespace\"},{\"type\":\"Punct"
     "uation\",\"behavior\":\"Contiguous\"},{\"type\":\"Digits\",\"individual_digits\":false}]},\"post_proce"
     "ssor\":null,\"decoder\":null,\"model\":{\"type\":\"BPE\",\"dropout\":null,\"unk_token\":\"<unk>\",\"contin"
     "uing_subword_prefix\":null,\"end_of_word_suffix\":\"</w>\",\"fuse_unk\":false,\"byte_fallback\":fal"
     "se,\"ignore_merges\":false,\"vocab\":{\"<unk>\":0,\"'\":1,\",\":2,\"0\":3,\"2\":4,\"4\":5,\"8\":6,\";\":7,\""
     "a\":8,\"b\":9,\"c\":10,\"d\":11,\"e\":12,\"g\":13,\"h\":14,\"i\":15,\"k\":16,\"l\":17,\"m\":18,\"n\":19,"
     "\"o\":20,\"p\":21,\"r\":22,\"s\":23,\"t\":24,\"u\":25,\"w\":26,\"y\":27,\"\xc3\x9f\":28,\"\xcc\x88\":29,"
     "\"\xe6\x97\xa5\":30,\"\xe6\x9c\xac\":31,\"\xf0\x9f\x98\x80\":32,\"\xf0\x9f\x98\x80</w>\":33,\"t</w>\":34,\""
     "s</w>\":35,\"0</w>\":36,\"e</w>\":37,\"d</w>\":38,\"2</w>\":39,\"\xe6\x9c\xac</w>\":40,\"r</w>\":41,\";</w>"
     "\":42,\"k</w>\":43,\"'</w>\":44,\",</w>\":45,\"l</w>\":46,\"ts</w>\":47,\"ea\":48,\"be\":49,\"u\xcc\x88\":5"
     "0,\"ber</w>\":51,\"u\xcc\x88""ber</w>\":52,\"08\":53,\"808\":54,\"aw\":55,\"haw\":56,\"8080</w>\":57,\"hawk"
     "</w>\":58,\"gh\":59,\"igh\":60,\"nigh\":61,\"night</w>\":62,\"ce</w>\":63,\"ice</w>\":64,\"mice</w>\":65,"
     "\"he</w>\":66,\"the</w>\":67,\"hu\":68,\"nts</w>\":69},\"merges\":[[\"t\",\"s</w>\"],[\"e\",\"a\"],[\"b\",\""
     "e\"],[\"u\",\"\xcc\x88\"],[\"be\",\"r</w>\"],[\"u\xcc\x88\",\"ber</w>\"],[\"0\",\"8\"],[\"8\",\"08\"],[\"a"
     "\",\"w\"],[\"h\",\"aw\"],[\"808\",\"0</w>\"],[\"haw\",\"k</w>\"],[\"g\",\"h\"],[\"i\",\"gh\"],[\"n\",\"igh\""
     "],[\"nigh\",\"t</w>\"],[\"c\",\"e</w>\"],[\"i\",\"ce</w>\"],[\"m\",\"ice</w>\"],[\"h\",\"e</w>\"],[\"t\",\""
     "he</w>\"],[\"h\",\"u\"],[\"n\",\"ts</w>\"]]}}",
     45,
     {67, 20, 26, 46, 44, 35, 62, 45, 5, 39, 52, 23, 24, 22, 8, 28, 37, 30, 40, 33, 10, 8, 18, 12, 17, 10, 8, 23, 37,
      12, 22, 22, 20, 41, 0, 0, 0, 70, 0, 18, 8, 23, 43, 0, 0}},
    {"bpe-prefix",
     "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\"added_tokens\":[{\"id\":0,\"content\":\"[UNK]"
     "\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,\"special\":true}],\"n"
     "ormalizer\":{\"type\":\"BertNormalizer\",\"clean_text\":true,\"handle_chinese_chars\":true,\"strip_a"
     "ccents\":null,\"lowercase\":true},\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},\"post_processor"
     "\":null,\"decoder\":null,\"model\":{\"type\":\"BPE\",\"dropout\":null,\"unk_token\":\"[UNK]\",\"continuing"
     "_subword_prefix\":\"##\",\"end_of_word_suffix\":null,\"fuse_unk\":false,\"byte_fallback\":false,\"ig"
     "nore_merges\":false,\"vocab\":{\"[UNK]\":0,\"'\":1,\",\":2,\"0\":3,\"2\":4,\"4\":5,\"8\":6,\";\":7,\"a\":"
     "8,\"b\":9,\"c\":10,\"d\":11,\"e\":12,\"g\":13,\"h\":14,\"i\":15,\"k\":16,\"l\":17,\"m\":18,\"n\":19,\"o\":20"
     ",\"p\":21,\"r\":22,\"s\":23,\"t\":24,\"u\":25,\"w\":26,\"y\":27,\"\xc3\x9f\":28,\"\xe6\x97\xa5\":29,\"\xe6"
     "\x9c\xac\":30,\"\xf0\x9f\x98\x80\":31,\"##a\":32,\"##t\":33,\"##s\":34,\"##b\":35,\"##e\":36,\"##r\":37,\""
     "##u\":38,\"##n\":39,\"##2\":40,\"##o\":41,\"##i\":42,\"##c\":43,\"##d\":44,\"##h\":45,\"##w\":46,\"##l\":4"
     "7,\"##\xc3\x9f\":48,\"##g\":49,\"##y\":50,\"##k\":51,\"##0\":52,\"##8\":53,\"##ts\":54,\"##or\":55,\"ub\":56"
     ",\"##er\":57,\"uber\":58,\"80\":59,\"ha\":60,\"##wk\":61,\"##80\":62,\"8080\":63,\"hawk\":64,\"ni\":65,\"#"
     "#ht\":66,\"##ght\":67,\"night\":68,\"mi\":69},\"merges\":[[\"##t\",\"##s\"],[\"##o\",\"##r\"],[\"u\",\"##b\""
     "],[\"##e\",\"##r\"],[\"ub\",\"##er\"],[\"8\",\"##0\"],[\"h\",\"##a\"],[\"##w\",\"##k\"],[\"##8\",\"##0\"]"
     ",[\"80\",\"##80\"],[\"ha\",\"##wk\"],[\"n\",\"##i\"],[\"##h\",\"##t\"],[\"##g\",\"##ht\"],[\"ni\",\"##ght\"]"
     ",[\"m\",\"##i\"]]}}",
     52,
     {24, 45, 36, 20, 46, 47, 1, 23, 68, 2, 5, 40, 58, 23, 33, 37, 32, 48, 36, 29, 30, 31, 10, 32, 0, 36, 47, 43, 32,
      34, 36, 12, 37, 37, 55, 0, 0, 0, 0, 41, 41, 0, 9, 32, 37, 0, 18, 32, 34, 51, 0, 0}},
    {"bpe-llama2",
     "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\"added_tokens\":[{\"id\":0,\"content\":\"<unk>"
     "\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,\"special\":true},{\"i"
     "d\":1,\"content\":\"<0xC3>\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":fal"
     "se,\"special\":true},{\"id\":2,\"content\":\"<0xBC>\",\"single_word\":false,\"lstrip\":false,\"rstrip\":"
     "false,\"normalized\":false,\"special\":true},{\"id\":3,\"content\":\"<0xF0>\",\"single_word\":false,\"l"
     "strip\":false,\"rstrip\":false,\"normalized\":false,\"special\":true},{\"id\":4,\"content\":\"<0x9F>\","
     "\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,\"special\":true},{\"id\""
     ":5,\"content\":\"<0x98>\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false"
     ",\"special\":true},{\"id\":6,\"content\":\"<0x80>\",\"single_word\":false,\"lstrip\":false,\"rstrip\":fa"
     "lse,\"normalized\":false,\"special\":true}],\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"t"
     "ype\":\"Prepend\",\"prepend\":\"\xe2\x96\x81\"},{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"conte"
     "nt\":\"\xe2\x96\x81\"}]},\"pre_tokenizer\":null,\"post_processor\":null,\"decoder\":null,\"model\":{\"typ"
     "e\":\"BPE\",\"dropout\":null,\"unk_token\":\"<unk>\",\"continuing_subword_prefix\":null,\"end_of_word_"
     "suffix\":null,\"fuse_unk\":true,\"byte_fallback\":true,\"ignore_merges\":false,\"vocab\":{\"<unk>\":0"
     ",\"<0xC3>\":1,\"<0xBC>\":2,\"<0xF0>\":3,\"<0x9F>\":4,\"<0x98>\":5,\"<0x80>\":6,\"'\":7,\",\":8,\"0\":9,\"2"
     "\":10,\"4\":11,\"8\":12,\";\":13,\"S\":14,\"a\":15,\"b\":16,\"c\":17,\"d\":18,\"e\":19,\"g\":20,\"h\":21,\"i"
     "\":22,\"k\":23,\"l\":24,\"m\":25,\"n\":26,\"o\":27,\"p\":28,\"r\":29,\"s\":30,\"t\":31,\"u\":32,\"w\":33,\"y"
     "\":34,\"\xc3\x9f\":35,\"\xc3\xbc\":36,\"\xe2\x96\x81\":37,\"\xe6\x97\xa5\":38,\"\xe6\x9c\xac\":39,\"\xf0\x9f"
     "\x98\x80\":40,\"t\xe2\x96\x81\":41,\"e\xe2\x96\x81\":42,\"s\xe2\x96\x81\":43,\"80\":44,\"er\":45,\"or\":46"
     ",\"ea\":47,\"ts\xe2\x96\x81\":48,\"\xe2\x96\x81\xe2\x96\x81\":49,\"ber\":50,\"\xc3\xbc""ber\":51,\"\xc3"
     "\xbc""ber\xe2\x96\x81\":52,\"aw\":53,\"haw\":54,\"k'\":55,\"8080\":56,\"hawk'\":57,\"gh\":58,\"igh\":59,\"ni"
     "gh\":60,\"ce\":61,\"ice\":62,\"mice\":63,\"night\xe2\x96\x81\":64,\"mice;\":65,\"he\xe2\x96\x81\":66,\"t"
     "he\xe2\x96\x81\":67,\"hawk's\xe2\x96\x81\":68,\"mice;\xe2\x96\x81\":69},\"merges\":[[\"t\",\"\xe2\x96\x81\""
     "],[\"e\",\"\xe2\x96\x81\"],[\"s\",\"\xe2\x96\x81\"],[\"8\",\"0\"],[\"e\",\"r\"],[\"o\",\"r\"],[\"e\",\"a\"],"
     "[\"t\",\"s\xe2\x96\x81\"],[\"\xe2\x96\x81\",\"\xe2\x96\x81\"],[\"b\",\"er\"],[\"\xc3\xbc\",\"ber\"],[\"\xc3"
     "\xbc""ber\",\"\xe2\x96\x81\"],[\"a\",\"w\"],[\"h\",\"aw\"],[\"k\",\"'\"],[\"80\",\"80\"],[\"haw\",\"k'\"],"
     "[\"g\",\"h\"],[\"i\",\"gh\"],[\"n\",\"igh\"],[\"c\",\"e\"],[\"i\",\"ce\"],[\"m\",\"ice\"],[\"nigh\",\""
     "t\xe2\x96\x81\"],[\"mice\",\";\"],[\"h\",\"e\xe2\x96\x81\"],[\"t\",\"he\xe2\x96\x81\"],[\"hawk'\",\""
     "s\xe2\x96\x81\"],[\"mice;\",\"\xe2\x96\x81\"]]}}",
     54,
     {49, 0, 66, 27, 33, 24, 7, 43, 60, 31, 8, 49, 11, 10, 37, 52, 14, 31, 29, 15, 35, 42, 38, 39, 37, 40, 37, 17,
      15, 25, 19, 24, 0, 15, 30, 42, 45, 29, 46, 0, 37, 0, 16, 15, 29, 37, 0, 25, 15, 30, 23, 0, 37, 0}},
};
/* clang-format on */

#endif
