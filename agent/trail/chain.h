/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chain - the files of a trail in the order they were written. For trail/ only:
 * trail.c shows it to the other rooms.
 *
 *   oldest -> ... -> a rotated file -> the live one
 *
 * A file is its text, whatever form that is kept in: X.log, its compressed
 * X.log.gz and a pin in the state directory are one file. chain.c keeps the
 * list and says when a file is final; look.c holds it against the disk; roll.c
 * remembers it across restarts.
 */
#ifndef TALLYMAN_CHAIN_H
#define TALLYMAN_CHAIN_H

#include <time.h>

#include "agent/trail/passers.h"
#include "agent/trail/pins.h"
#include "agent/trail/sibling.h"
#include "agent/trail/trail.h"

enum form {
    FORM_PLAIN,
    FORM_GZ,
    NFORMS
};

/* A name in the directory. */
struct name {
    char *path; /* NULL: there is none */
    struct stat st;
    bool seen; /* by the look under way */
};

/* Where the live file ended at the last look, and what stood before that: a
 * file that was cut, and may have grown again, shows by it. */
struct live_end {
    uint64_t at;
    size_t len;
    char bytes[IDENTITY_GUARD_MAX];
};

/* A file that was cut, and where it ended as far as anybody saw. What it held is
 * looked for in a copy: a listing made since then has it, or there is none. */
struct cut {
    struct live_end end;
    bool is_listed; /* there is such a listing */
};

struct file {
    struct chain *chain;
    struct file *next; /* written after this one */
    char *path;        /* its present one, or the last it had */
    uint64_t number;   /* in the order in which files came into the chain */
    struct name names[NFORMS];
    int64_t entered_us; /* when it came into the chain, by the wall clock */
    struct identity id; /* of what is open, or was; zeros: never seen */
    bool head_is_whole;
    enum form form;     /* of what is open */
    int fd;             /* -1: it is not, or cannot be */
    unsigned version;   /* another fd, another version */
    uint64_t text_size; /* when last seen; with gz, what it says of itself */
    bool has_text_size;
    unsigned refs;
    bool is_named; /* it has a name in the directory */
    bool passed;   /* every reader is behind it: it need not be open */
    bool is_copy;  /* made by copytruncate: it cannot grow */
    bool is_blank; /* it was empty when it came, and may yet turn out to be the
                    * copy of another */
    bool is_void;  /* it did, and is none of the chain: nothing is in it */
    bool complained;
    bool pinned;
    bool leaves_gap;  /* what stood between it and the next one is gone, or may
                       * be */
    bool is_bare_pin; /* found by its pin; nothing else is known of it */
    bool might_grow;  /* when it was last seen open: its size then is no end */
    bool is_spool;    /* of standard input: nothing cuts it, and what all its
                       * readers are past is NULs */
    bool is_end;      /* behind the last one of a trail that ends; there is
                       * nothing in it */
    bool is_rolled;   /* the roll that was printed last has it */
    bool remembered;  /* the roll on disk has it */
    enum loss loss;
    struct sibling sibling; /* kind NONE: live, or it was when last seen */
    /* When it was last seen to grow, by our own clock. */
    uint64_t grown_ms;
    uint64_t grown_to;
    struct cut *cut; /* NULL: no copy of it is looked for */
};

struct chain {
    const char *who;
    const char *path; /* as configured */
    uint64_t quiet_ms;
    uint64_t pin_max_bytes;
    char *dir;  /* where the files are: the path's, once links are followed */
    char *base; /* the live file's name there */
    struct pins pins;
    struct file *oldest;
    uint64_t number;      /* of the file that came last */
    uint64_t seen_number; /* and when the last look was over */
    struct file *live;    /* what the path names now, or NULL */
    struct live_end live_end;
    struct timespec dir_mtime; /* at the last look; 0: look again */
    ino_t dir_ino;
    bool is_given;      /* these files and no others: see given.h */
    unsigned holds;     /* readers that are nowhere yet: nothing is dropped */
    bool began;         /* a reader has begun */
    bool was_scanned;   /* once, at least */
    bool is_lumberjack; /* a name of its making was seen */
    bool is_looking;    /* a look is under way */
    bool has_changed;   /* meanwhile: told at its end */
    bool is_urgent;
    bool is_unsettled; /* something is to be looked at again soon */
    bool is_blind;     /* the directory could not be listed */
    bool missed;       /* a name was gone when it was looked at */
    bool complained;   /* of the live file */
    bool dir_complained;
    bool strange_complained;
    enum passed_by passed; /* since the last listing */
    uint64_t given_up_bytes;
    uint64_t grown; /* bytes by which the live file was seen to grow */
    /* The order, or what is in it; urgent: a crash may make it another. */
    void (*changed)(void *arg, bool urgent);
    /* What came and went since it was last asked. NULL: nothing can. */
    enum passed_by (*passed_by)(void *arg);
    void *arg;
};

/* Empty, at the end of the chain or before `next`. */
struct file *chain_add(struct chain *c, struct file *next);
/* To the end, or before `next`. */
void chain_move(struct chain *c, struct file *f, struct file *next);
void file_free(struct file *f);

void name_set(struct file *f, enum form form, const char *path,
              const struct stat *st);
void name_clear(struct name *n);
/* Opens what there is of it, the plain form first. Nothing if it is open. */
void file_open(struct file *f);
/* Takes over `fd`, which is that form of its text. */
void file_take_fd(struct file *f, enum form form, int fd);
void file_close(struct file *f);
/* Learns more of the head of a file that was short. */
void file_update_head(struct file *f);
/* Its copy was found, or is not needed, or there is none. */
void file_end_cut(struct file *f);

/* Whether it is, as far as its head tells, the file that is remembered. */
bool file_is(const struct file *f, const struct identity *id);
/* When it got its name, as that or its time of change says; by the wall clock. */
int64_t file_rotated_ms(const struct file *f);
/* Whether what is open has no name any more, but perhaps a pin. */
bool file_is_deleted(const struct file *f);
/* Of the disk, for a file that is deleted but held. */
uint64_t file_held_bytes(const struct file *f);

/*
 * Whether it cannot grow any more. lumberjack closes a file before it renames
 * it, so that one is final at once. Another writer may go on with the file it
 * has: until the next one holds something there is nothing to hurry for, and
 * then the old one has to be quiet for a while.
 */
bool chain_is_final(struct file *f);
struct file *chain_after(const struct file *f);
/* Lets go what every reader is past. */
void chain_drop_passed(struct chain *c);
void chain_changed(struct chain *c, bool urgent);

/*
 * The file does not hold before `at` what it held: it was cut. The live file
 * goes on as a new one; what the old one held is looked for in a copy, else it
 * is lost. A file that is not live is lost from there on.
 */
void chain_cut(struct chain *c, struct file *f, uint64_t at,
               struct span before);

/* It is no file of the chain after all, and nobody has read anything of it. */
void chain_void(struct chain *c, struct file *f);
/* Nothing more of it can be read; of a damaged one, what comes before that. */
void chain_lose(struct chain *c, struct file *f, enum loss loss);
/* Whether a .gz that ends too soon will stay as it is. */
bool chain_is_stale(const struct file *f);
/* What was read of the live file, or is there of it. */
void chain_note_end(struct chain *c, const struct file *f, uint64_t at,
                    struct span before);
/* Whether the live file is not what it was; then it has been cut. */
bool chain_check_live(struct chain *c);

/* look.c: holds the chain against the disk, if that seems to have changed. */
void chain_look(struct chain *c);

#endif
